//! A company's network on loopback: a server that is both the Messages API and ACT, and two proxies, under addresses
//! and names that do not look like loopback. Everything has a fixed port, because the network belongs to this test
//! only.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;

use super::act::Act;
use super::messages::Messages;
use super::sandbox::Sandbox;
use super::tls::Authority;

/// The server's name, with its port.
pub const SERVER: &str = "act.corp.test:8443";
/// The names and addresses of the servers' certificates.
const NAMES: [&str; 6] = ["act.corp.test", "proxy.test", "10.9.0.1", "10.9.0.2", "fd00::1", "fd00::2"];

/// The network. Its servers live as long as the test's process.
pub struct Site {
    pub act: Act,
    pub authority: Arc<Authority>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// For this thread and all processes it starts; `None`: skipped. The network must be isolated already.
    pub fn start(sandbox: &Sandbox, messages: &Messages) -> Option<Self> {
        super::program("ip")?;
        arrange(sandbox);
        let authority = Arc::new(Authority::for_names(&NAMES));
        let notes: Arc<Mutex<Vec<String>>> = Arc::default();
        let everywhere = |port| SocketAddr::from(([0u16; 8], port));
        let act = Act::start_beside(messages.handler(), everywhere(8443), &authority);
        for (port, name) in [(3128, "proxy"), (80, "proxy at 80"), (443, "proxy at 443"), (3129, "other proxy")] {
            let listener = TcpListener::bind(everywhere(port)).expect("a port");
            let (notes, authority) = (notes.clone(), authority.clone());
            std::thread::spawn(move || {
                for client in listener.incoming().flatten() {
                    let (notes, authority) = (notes.clone(), authority.clone());
                    std::thread::spawn(move || {
                        // Recorded before the answer, so that it is known even if the client disconnects.
                        let note = |what: String| notes.lock().unwrap().push(format!("{name}{what}"));
                        let _ = serve(client, &authority, &note);
                    });
                }
            });
        }
        Some(Self { act, authority, notes })
    }

    /// The different requests to the proxies since the last call.
    pub fn asked(&self) -> Vec<String> {
        let mut notes = std::mem::take(&mut *self.notes.lock().unwrap());
        notes.sort();
        notes.dedup();
        notes
    }
}

/// Addresses, names, and a copy of /etc for managed settings, for this thread and its children.
fn arrange(sandbox: &Sandbox) {
    let run = |line: &str| {
        let status = Command::new("sh").args(["-ec", line]).status().expect("sh");
        assert!(status.success(), "{line}: {status}");
    };
    super::network::own_mounts().expect("a mount namespace");
    let etc = sandbox.root().join("etc");
    let etc = etc.display();
    run(&format!(
        "mount --make-rprivate / && cp -a /etc {etc} && mkdir -p {etc}/claude-code && rm -f {etc}/hosts &&
         printf '127.0.0.1 localhost\\n10.9.0.1 act.corp.test\\n10.9.0.2 proxy.test\\n' > {etc}/hosts &&
         mount --bind {etc} /etc"
    ));
    for address in ["10.9.0.1/32", "10.9.0.2/32", "fd00::1/128", "fd00::2/128"] {
        run(&format!("ip address add {address} dev lo"));
    }
}

/// Serves a client of a proxy: CONNECT, plain or over TLS. A SOCKS request is recorded and refused.
fn serve(client: TcpStream, authority: &Authority, note: &dyn Fn(String)) -> io::Result<()> {
    let mut first = [0];
    client.peek(&mut first)?;
    match first[0] {
        4 | 5 => note(" by SOCKS".to_owned()),
        0x16 => {
            client.set_nodelay(true)?;
            let stream = client.try_clone()?;
            let Some(mut secure) = authority.wrap()(client) else { return Ok(()) };
            if connect(&mut secure, &|what| note(format!(" over TLS{what}")))? {
                relay(&mut secure, &stream)?;
            }
        }
        _ => {
            let mut plain = client.try_clone()?;
            if connect(&mut plain, note)? {
                relay(&mut plain, &client)?;
            }
        }
    }
    Ok(())
}

/// Reads a request's head, records and answers it; true for CONNECT.
fn connect(client: &mut (impl Read + Write), note: &dyn Fn(String)) -> io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let authorization = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let encoded = value.strip_prefix("Basic ").filter(|_| name.eq_ignore_ascii_case("proxy-authorization"))?;
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
        Some(format!(", {}", String::from_utf8_lossy(&decoded)))
    });
    let is_connect = head.starts_with("CONNECT ");
    note(format!("{}{}", if is_connect { "" } else { " without CONNECT" }, authorization.unwrap_or_default()));
    let answer = if is_connect { "HTTP/1.1 200 Connection established\r\n\r\n" } else { "HTTP/1.1 501 No\r\n\r\n" };
    client.write_all(answer.as_bytes())?;
    client.flush()?;
    Ok(is_connect)
}

/// Copies bytes between the client and the server, whatever host was requested, until one of them closes.
fn relay(client: &mut (impl Read + Write), socket: &TcpStream) -> io::Result<()> {
    let mut server = TcpStream::connect(("10.9.0.1", 8443))?;
    let soon = Some(Duration::from_millis(2));
    socket.set_read_timeout(soon)?;
    server.set_read_timeout(soon)?;
    let result = loop {
        let carried = carry(client, &mut server).and_then(|()| carry(&mut server, client));
        if carried.is_err() {
            break carried;
        }
    };
    let _ = server.shutdown(Shutdown::Both);
    let _ = socket.shutdown(Shutdown::Both);
    result
}

/// Copies available bytes; an error at the end of the stream.
fn carry(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    match from.read(&mut bytes) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(length) => to.write_all(&bytes[..length]).and_then(|()| to.flush()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(error),
    }
}
