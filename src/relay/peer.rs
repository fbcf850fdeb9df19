//! Finds the user whose socket is at the other end of a loopback connection, where the system tells.
//!
//! Linux tells by a netlink socket (`sock_diag`): one request about one connection, without a search through a table that
//! other users can make long. Where the system does not tell (macOS, some sandboxes), the secret path alone decides.

/// Whether a connection of user `peer` is refused before anything is read from it. Root can do anything anyway; `own` is the
/// relay's user; `command` is the user that claude runs as, where a wrapper has changed it.
pub fn is_stranger(peer: u32, own: u32, command: impl FnOnce() -> Option<u32>) -> bool {
    peer != 0 && peer != own && command() != Some(peer)
}

#[cfg(not(target_os = "linux"))]
#[derive(Debug, Default)]
pub struct Peers(());

#[cfg(not(target_os = "linux"))]
impl Peers {
    /// This system does not tell.
    pub fn user(&mut self, _peer: std::net::SocketAddr, _here: std::net::SocketAddr) -> Option<u32> {
        None
    }
}

#[cfg(target_os = "linux")]
pub use linux::Peers;

#[cfg(target_os = "linux")]
mod linux {
    use std::net::{SocketAddr, SocketAddrV4};
    use std::os::fd::{AsRawFd, OwnedFd};

    use nix::libc;
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

    /// `SOCK_DIAG_BY_FAMILY`
    const BY_FAMILY: u16 = 20;
    /// `NLM_F_REQUEST`
    const REQUEST: u16 = 1;
    /// The offset of the user in an answer: after the message's header, four bytes, the connection, three numbers.
    const USER: usize = 16 + 4 + 48 + 12;

    /// Asks the system for users.
    #[derive(Debug, Default)]
    pub struct Peers {
        socket: Option<OwnedFd>,
        sequence: u32,
    }

    impl Peers {
        /// The user of the socket at `peer` that is connected to our socket at `here`; `None` where the system does not tell.
        pub fn user(&mut self, peer: SocketAddr, here: SocketAddr) -> Option<u32> {
            let (SocketAddr::V4(peer), SocketAddr::V4(here)) = (peer, here) else { return None };
            self.sequence = self.sequence.wrapping_add(1);
            let question = question(self.sequence, peer, here);
            if self.socket.is_none() {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                self.socket =
                    socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag).ok();
            }
            let socket = self.socket.as_ref()?;
            send(socket.as_raw_fd(), &question, MsgFlags::empty()).ok()?;
            let mut buffer = [0; 512];
            // The answer is there as soon as the request has been sent. A late answer to an earlier request may come before it.
            while let Ok(length @ 1..) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                let answer = &buffer[..length];
                if number(answer, 8) == Some(self.sequence) {
                    return user_in(answer);
                }
            }
            None
        }
    }

    /// The request: it names the connection as the other end sees it.
    fn question(sequence: u32, peer: SocketAddrV4, here: SocketAddrV4) -> Vec<u8> {
        let mut connection = Vec::with_capacity(48);
        connection.extend_from_slice(&peer.port().to_be_bytes());
        connection.extend_from_slice(&here.port().to_be_bytes());
        for address in [peer.ip(), here.ip()] {
            connection.extend_from_slice(&address.octets());
            connection.extend_from_slice(&[0; 12]);
        }
        // The connection may be on any interface, and have any cookie.
        connection.extend_from_slice(&[0; 4]);
        connection.extend_from_slice(&[0xff; 8]);
        let (family, protocol) = (libc::AF_INET as u8, libc::IPPROTO_TCP as u8);
        let all_states = [0xff; 4];
        let request = [&[family, protocol, 0, 0][..], &all_states, &connection].concat();
        let length = 16 + request.len() as u32;
        let head = [
            &length.to_ne_bytes()[..],
            &BY_FAMILY.to_ne_bytes(),
            &REQUEST.to_ne_bytes(),
            &sequence.to_ne_bytes(),
            &[0; 4],
        ];
        [&head.concat()[..], &request].concat()
    }

    fn user_in(answer: &[u8]) -> Option<u32> {
        let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
        if kind == BY_FAMILY { number(answer, USER) } else { None }
    }

    fn number(bytes: &[u8], at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_a_stranger() {
        let nobody = || -> Option<u32> { None };
        assert!(is_stranger(65_534, 1_000, nobody) && is_stranger(65_534, 0, nobody));
        assert!(!is_stranger(1_000, 1_000, || unreachable!("not asked")));
        assert!(!is_stranger(0, 1_000, || unreachable!("not asked")), "root");
        assert!(!is_stranger(1_001, 0, || Some(1_001)), "a wrapper gave up root");
        assert!(is_stranger(1_002, 0, || Some(1_001)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells_whose_socket_it_is() {
        use std::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        let mut peers = Peers::default();
        for _ in 0..3 {
            let client = TcpStream::connect(here).unwrap();
            let (_server, peer) = listener.accept().unwrap();
            assert_eq!(peers.user(peer, here), Some(nix::unistd::geteuid().as_raw()));
            drop(client);
        }
        // A connection that does not exist.
        assert_eq!(peers.user("127.0.0.1:1".parse().unwrap(), here), None);
        assert_eq!(peers.user("[::1]:1".parse().unwrap(), here), None);
    }
}
