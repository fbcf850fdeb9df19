//! The relay's HTTP front: which requests it takes from a connection's bytes, and its answers.

use std::cell::RefCell;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use act_claude::relay::server::{IntakeAnswer, talk};
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const PATH: &str = "/s3cret/v1/metrics";

const WORDS: [&str; 28] = [
    "POST /s3cret/v1/metrics HTTP/1.1\r\n",
    "POST /s3cret/v1/metrics HTTP/1.0\r\n",
    "GET /s3cret/v1/metrics HTTP/1.1\r\n",
    "POST http://h/s3cret/v1/metrics?q HTTP/1.1\r\n",
    "POST /s3cret/v1/metric HTTP/1.1\r\n",
    "Host: 127.0.0.1\r\n",
    "Content-Type: application/json\r\n",
    "content-type: Application/JSON ; charset=utf-8\r\n",
    "Content-Length: 2\r\n\r\n{}",
    "Content-Length: 4\r\n",
    "Content-Length: 99999999\r\n",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Content-Encoding: gzip\r\n",
    "Content-Encoding: identity\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\n",
    "2\r\n{}\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "\r\n\r\n",
    "\r\n",
    "{}",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\u{85}",
    ": ",
    "\0",
];

/// Only POSTs on the secret path are taken, as they were sent, however the bytes are split.
pub fn check(data: &[u8]) {
    let text = crate::spelled::spelled(data, &WORDS);
    let (taken, answers) = conversation(&text, text.len().max(1));
    let (in_pieces, other_answers) = conversation(&text, 3);
    assert!(taken.starts_with(&in_pieces) || in_pieces.starts_with(&taken), "{taken:?} or {in_pieces:?}, as it is cut");
    // Half a head that arrives at once is parsed, and may be refused as malformed or too large. If it arrives in
    // pieces, it is parsed only when it is complete.
    let (fewer, more) =
        if answers.len() < other_answers.len() { (&answers, &other_answers) } else { (&other_answers, &answers) };
    let is_one_more = matches!(&more[..], [before @ .., 400 | 414 | 431] if before == fewer);
    // The connection ends after a refused request whose body has not arrived yet.
    let is_refused = |status: &u16| [404, 405, 413, 415].contains(status);
    let is_ended = more.starts_with(fewer) && fewer.last().is_some_and(is_refused);
    let is_same = taken == in_pieces && (answers == other_answers || is_one_more);
    assert!(is_same || is_ended, "{answers:?} or {other_answers:?}, {taken:?} or {in_pieces:?}, however it is cut");
    let has = |what: &[u8]| text.windows(what.len()).any(|window| window.eq_ignore_ascii_case(what));
    if !taken.is_empty() {
        assert!(has(b"POST ") && has(PATH.as_bytes()) && has(b"application/json"), "taken from {text:?}");
    }
    for body in taken.iter().filter(|_| !has(b"gzip")) {
        let mut bytes = text.iter();
        assert!(body.iter().all(|byte| bytes.any(|other| other == byte)), "{body:?} is not in {text:?}");
    }
    let good = answers.iter().filter(|status| [200, 400, 503, 429].contains(status)).count();
    assert!(taken.len() <= good, "taken and not answered: {taken:?} {answers:?}");
    assert!(answers.iter().filter(|status| **status == 200).count() <= taken.len(), "a 200 for nothing");
    sent_well(data);
}

/// A correct request arrives byte for byte, with any body.
fn sent_well(body: &[u8]) {
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n");
    let request = match body.len() % 3 {
        0 => [head.as_bytes(), format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat(),
        1 => {
            let mut request = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
            for chunk in body.chunks(7) {
                request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                request.extend_from_slice(chunk);
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(b"0\r\n\r\n");
            request
        }
        _ => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(body).unwrap();
            let body = gzip.finish().unwrap();
            let head = format!("{head}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), &body].concat()
        }
    };
    let (taken, answers) = conversation(&[&request[..], &request].concat(), 11);
    assert_eq!(taken, [body, body]);
    assert_eq!(answers, [answer_to(body); 2]);
}

/// A stand-in for the intake: it gives each possible answer, selected by the body's length.
fn accepted(body: &[u8]) -> IntakeAnswer {
    match body.len() % 5 {
        0 => IntakeAnswer::Unrouted,
        1 => IntakeAnswer::NoExport,
        2 => IntakeAnswer::Accepted,
        3 => IntakeAnswer::Lost,
        _ => IntakeAnswer::Answered { status: 429, body: body.to_vec() },
    }
}

fn answer_to(body: &[u8]) -> u16 {
    [200, 400, 200, 503, 429][body.len() % 5]
}

/// The accepted bodies and the answered statuses when the client sends `text` in pieces.
fn conversation(text: &[u8], piece: usize) -> (Vec<Vec<u8>>, Vec<u16>) {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    let said = Rc::new(RefCell::new(Vec::new()));
    let taken = Rc::new(RefCell::new(Vec::new()));
    let wire = Wire { rest: text.to_vec().into(), piece, patience: 20, said: said.clone() };
    let take = |body: Bytes| {
        taken.borrow_mut().push(body.to_vec());
        async move { accepted(&body) }
    };
    RUNTIME.with(|runtime| runtime.block_on(talk(wire, PATH.into(), take)));
    let answers = statuses(&said.borrow());
    (taken.take(), answers)
}

/// Parses the answers strictly.
fn statuses(mut said: &[u8]) -> Vec<u16> {
    let mut found = Vec::new();
    while !said.is_empty() {
        let end = said.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
        let head = std::str::from_utf8(&said[..end]).expect("ASCII");
        let status: u16 = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
        assert!(head.starts_with("HTTP/1.1 ") || head.starts_with("HTTP/1.0 "), "{head}");
        assert!([100, 200, 400, 404, 405, 413, 414, 415, 429, 431, 503].contains(&status), "{head}");
        if status != 100 {
            found.push(status);
        }
        said = &said[end + length..];
    }
    found
}

/// A client that sends its text in pieces, reads for a while, and disconnects.
struct Wire {
    rest: std::collections::VecDeque<u8>,
    piece: usize,
    patience: u8,
    said: Rc<RefCell<Vec<u8>>>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.rest.is_empty() && self.patience > 0 {
            self.patience -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let count = self.piece.min(self.rest.len()).min(buffer.remaining());
        let piece: Vec<u8> = self.rest.drain(..count).collect();
        buffer.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.said.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
