//! Each check over its seeds, and over simple changes of them. The generator always starts with the same state.

use std::path::Path;

/// The number of changed inputs for each target.
const CHANGED: usize = 2_000;

#[test]
fn payload() {
    run("payload", super::payload::check);
}

#[test]
fn front() {
    run("front", super::front::check);
}

#[test]
fn spool() {
    run("spool", super::spool::check);
}

#[test]
fn configuration() {
    run("configuration", super::configuration::check);
}

#[test]
fn settings() {
    run("settings", super::settings::check);
}

#[test]
fn log() {
    run("log", super::log::check);
}

#[test]
fn arguments() {
    run("arguments", super::arguments::check);
}

#[test]
fn paths() {
    run("paths", super::paths::check);
}

#[test]
fn spec() {
    run("spec", super::spec::check);
}

#[test]
fn proxies() {
    run("proxies", super::proxies::check);
}

#[test]
fn usage() {
    run("usage", super::usage::check);
}

fn run(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(&directory).expect("seeds").map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 3, "a few seeds for {target}");
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|path| std::fs::read(path).unwrap()).collect();
    seeds.iter().for_each(|seed| tried(check, seed));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..CHANGED {
        let mut input = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(4) {
            change(&mut input, &seeds, &mut random);
        }
        tried(check, &input);
    }
}

/// Runs a check, and prints the input if it fails.
fn tried(check: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| check(input)) {
        eprintln!("input: {}", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + 1 + random.below(16)).min(input.len());
    match random.below(5) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => input.insert(at, random.byte()),
        3 if at < input.len() => input[at] = random.byte(),
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            let piece = other[from..(from + 1 + random.below(32)).min(other.len())].to_vec();
            drop(input.splice(at..end, piece));
        }
    }
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    /// Half of the bytes select words ([`super::spelled`]).
    fn byte(&mut self) -> u8 {
        let byte = (self.next() >> 40) as u8;
        if byte < 128 { byte % 32 } else { byte }
    }
}
