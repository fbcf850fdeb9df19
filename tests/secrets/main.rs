//! Promises C1–C7: where the token is, and who can reach the relay, its files and its configuration.

#[path = "../support/mod.rs"]
mod support;

mod c1_the_second_address;
mod c1_token_stays_in_the_relay;
mod c2_closed_to_others;
mod c3_hostile_repository;
mod c3_inside_claude;
mod c4_files;
mod c5_memory;
mod c5_races;
mod c6_values;
mod c7_commands;
