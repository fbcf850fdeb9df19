//! Starting claude and standing in its place until it has gone: the transparent parent (promises A1–A22).

pub mod child;
pub mod descriptors;
pub mod fork;
pub mod inherited;
pub mod output;
pub mod process;
pub mod relayed;
pub mod shared_memory;
pub mod signals;
pub mod supervise;
pub mod terminal;
