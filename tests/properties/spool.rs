//! Spool files: what is written can be read back, and a file that was not written by the spool is not accepted.

use std::cell::RefCell;

use act_claude::state::spool::entry::{DELIVERED, Fault, LONGEST_HEAD, head, peek, read};
use act_claude::state::spool::{Claim, Header, Refusal, Spool, list, name};
use sha2::{Digest, Sha256};

/// `data` as a whole file, as the content behind a valid checksum, and as the content of a new file.
pub fn check(data: &[u8]) {
    as_file(data);
    let sealed = format!("act-claude-export/1 {:x}\n", Sha256::digest(data));
    as_file(&[sealed.as_bytes(), data].concat());
    as_content(data);
}

fn as_file(bytes: &[u8]) {
    let whole = read(bytes);
    let outcome = match &whole {
        Ok((header, at)) => {
            let body = &bytes[*at..];
            let mut again = head(header, body).expect("what was read can be written");
            again.extend_from_slice(body);
            let (other, at) = read(&again).expect("what was written can be read");
            assert_eq!((&other, &again[at..]), (header, body));
            assert_eq!(
                bytes.split(|&byte| byte == b'\n').next().map(<[u8]>::len),
                Some(84),
                "one spelling of the first line"
            );
            assert_eq!(peek(bytes).as_ref(), Ok(header));
            if name(&header.session, header.sequence) == FILE { "whole" } else { "corrupt" }
        }
        Err(Fault::Corrupt) => "corrupt",
        Err(Fault::Newer(version)) => {
            assert!(*version > 1);
            "newer"
        }
        Err(Fault::Delivered) => {
            assert!(bytes.starts_with(DELIVERED));
            "delivered"
        }
        Err(other) => panic!("{other:?} is no property of bytes"),
    };
    SPOOL.with_borrow(|(directory, spool)| {
        let path = spool.queue().join(FILE);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(list::peek(spool, FILE), peek(bytes), "what a look into the file says");
        let claimed = Claim::take(spool, FILE);
        assert_eq!(path.exists(), ["whole", "newer"].contains(&outcome));
        match claimed {
            Ok(claim) => {
                assert_eq!((outcome, claim.body()), ("whole", &bytes[whole.unwrap().1..]));
                claim.done().expect("removed");
            }
            Err(Refusal::Gone) => assert_eq!(outcome, "delivered"),
            Err(Refusal::Newer(_)) => assert_eq!(outcome, "newer"),
            Err(Refusal::Corrupt) => {
                assert_eq!(outcome, "corrupt");
                std::fs::remove_file(spool.corrupt().join(FILE)).expect("set aside");
            }
            Err(other) => panic!("{other:?} in {}", directory.path().display()),
        }
    });
}

/// Header fields and body cut out of `data`.
fn as_content(data: &[u8]) {
    let mut parts = data.splitn(4, |&byte| byte == 0xff);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (session, alias, endpoint, body) = (text(), text(), text(), text());
    let header = Header {
        sequence: session.len() as u64,
        account: alias.chars().rev().collect(),
        user: endpoint.repeat(3),
        points: u64::MAX - alias.len() as u64,
        captured: jiff::Timestamp::from_microsecond(session.len() as i64 * 1_234_567_891_234).unwrap_or_default(),
        session,
        alias,
        endpoint,
        shared: None,
    };
    // A header that would be too long to be read is refused when it is written: an export that can't be read again must
    // not be acknowledged.
    let Ok(mut file) = head(&header, body.as_bytes()) else {
        assert!(serde_json::to_vec(&header).unwrap().len() >= LONGEST_HEAD);
        return;
    };
    assert_eq!(peek(&file), Ok(header.clone()));
    let at = file.len();
    file.extend_from_slice(body.as_bytes());
    assert_eq!(read(&file), Ok((header, at)));
    let flipped = data.len() % file.len();
    file[flipped] ^= 1;
    assert!(read(&file).is_err(), "byte {flipped} was changed");
}

const FILE: &str = "s-00000007";

thread_local! {
    static SPOOL: RefCell<(tempfile::TempDir, Spool)> = {
        // In memory where possible, because each input makes a file.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let directory = tempfile::tempdir_in(place).expect("a temporary directory");
        let spool = Spool::of(directory.path());
        for part in [spool.queue(), spool.corrupt()] {
            std::fs::create_dir_all(part).unwrap();
        }
        RefCell::new((directory, spool))
    };
}
