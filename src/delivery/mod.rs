//! Delivery of stored exports to ACT: where each goes, how it is sent, what the answer means.

pub mod addresses;
pub mod backlog;
pub mod backoff;
pub mod blame;
pub mod body;
pub mod cause;
pub mod failure;
mod mask;
pub mod no_proxy;
pub mod proxy;
pub mod roots;
pub mod sender;
pub mod stranded;
pub mod target;
pub mod targets;
mod tls;
pub mod upstream;
pub mod verdict;
