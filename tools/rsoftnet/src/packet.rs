// SPDX-License-Identifier: GPL-2.0

//! One packet that can be told from all others.

use std::{
    io::{
        ErrorKind,
        Read, //
    },
    net::{
        IpAddr,
        SocketAddr,
        UdpSocket, //
    },
    process,
    sync::atomic::{
        AtomicBool,
        Ordering, //
    },
    time::{
        Duration,
        Instant,
        SystemTime, //
    },
};

use anyhow::{
    bail,
    Context,
    Result, //
};
use nix::time::{
    clock_gettime,
    ClockId, //
};
use socket2::{
    Domain,
    Protocol,
    Socket,
    Type, //
};

/// The clock of the module's times.
fn now_ns() -> Result<u64> {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let seconds = u64::try_from(time.tv_sec())?;
    Ok(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec())?)
}

/// Something that other packets hardly have.
fn unusual() -> u32 {
    let time = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    (time ^ process::id().rotate_left(16)).max(1)
}

/// Where it goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To an address of this machine: this program receives it.
    Local,
    /// To another host, which is asked to send an answer.
    Remote,
}

/// The packet before it is sent, with the sockets that send and receive.
pub struct Packet {
    /// Where it goes.
    pub way: Way,
    /// Bytes behind the headers of UDP or ICMP.
    pub payload: usize,
    /// The mark that the kernel carries with it.
    pub mark: u32,
    /// The number of the socket that receives it, or the answer.
    pub cookie: u64,
    sender: Socket,
    receiver: Socket,
    address: SocketAddr,
}

/// What became of it.
pub struct Outcome {
    /// When the program has called the kernel.
    pub called_ns: u64,
    /// When it had what was to come.
    pub received_ns: Option<u64>,
}

/// How often a receiver looks whether the program is to end.
const BEAT: Duration = Duration::from_millis(50);

const ECHO: usize = 8;

impl Packet {
    /// Opens the sockets. Without a size an unusual one is chosen.
    pub fn new(address: IpAddr, payload: Option<usize>) -> Result<Self> {
        if address.is_unspecified() || address.is_multicast() {
            bail!("{address} is not the address of one host");
        }
        let mark = unusual();
        let payload = payload.unwrap_or(200 + mark as usize % 900);
        match UdpSocket::bind((address, 0)) {
            Ok(receiver) => Self::local(receiver, mark, payload),
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                Self::remote(address, mark, payload)
            }
            Err(error) => Err(error).with_context(|| address.to_string()),
        }
    }

    fn local(receiver: UdpSocket, mark: u32, payload: usize) -> Result<Self> {
        let address = receiver.local_addr()?;
        let receiver = Socket::from(receiver);
        let sender = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        Self {
            way: Way::Local,
            payload,
            mark,
            cookie: receiver.cookie()?,
            sender,
            receiver,
            address,
        }
        .prepared()
    }

    fn remote(address: IpAddr, mark: u32, payload: usize) -> Result<Self> {
        let protocol = match address {
            IpAddr::V4(_) => Protocol::ICMPV4,
            IpAddr::V6(_) => Protocol::ICMPV6,
        };
        let address = SocketAddr::new(address, 0);
        let sender = Socket::new(Domain::for_address(address), Type::RAW, Some(protocol))
            .context("a raw socket")?;
        Self {
            way: Way::Remote,
            payload,
            mark,
            cookie: sender.cookie()?,
            receiver: sender.try_clone()?,
            sender,
            address,
        }
        .prepared()
    }

    fn prepared(self) -> Result<Self> {
        self.sender.set_mark(self.mark).context("SO_MARK")?;
        self.sender
            .connect(&self.address.into())
            .with_context(|| self.address.ip().to_string())?;
        self.receiver.set_read_timeout(Some(BEAT))?;
        Ok(self)
    }

    /// The protocol above IP.
    pub fn protocol(&self) -> &'static str {
        match (self.way, self.address.ip()) {
            (Way::Local, _) => "udp",
            (Way::Remote, IpAddr::V4(_)) => "icmp",
            (Way::Remote, IpAddr::V6(_)) => "icmp6",
        }
    }

    /// The number that frames have for its version of IP.
    pub fn ether_type(&self) -> u64 {
        match self.address.ip() {
            IpAddr::V4(_) => 0x0800,
            IpAddr::V6(_) => 0x86dd,
        }
    }

    /// Its length from the header of IP on: UDP's header is as long as that of an echo.
    pub fn ip_len(&self) -> u64 {
        let header = match self.address.ip() {
            IpAddr::V4(_) => 20,
            IpAddr::V6(_) => 40,
        };
        (header + ECHO + self.payload) as u64
    }

    /// What is sent.
    fn bytes(&self) -> Vec<u8> {
        let body = (0..self.payload).map(|i| i as u8);
        if self.way == Way::Local {
            return body.collect();
        }
        let [_, _, id @ ..] = self.mark.to_be_bytes();
        let kind = if self.address.is_ipv4() { 8 } else { 128 };
        let mut bytes = vec![kind, 0, 0, 0, id[0], id[1], 0, 1];
        bytes.extend(body);
        if self.address.is_ipv4() {
            let sum = checksum(&bytes).to_be_bytes();
            bytes[2..4].copy_from_slice(&sum);
        }
        bytes
    }

    /// Whether this is what was to come.
    fn is_it(&self, received: &[u8], sent: &[u8]) -> bool {
        if self.way == Way::Local {
            return received == sent;
        }
        let (kind, at) = if self.address.is_ipv4() {
            // Behind the header of IP, whose length is in its first byte.
            let words = received.first().map_or(0, |byte| byte & 15);
            (0, usize::from(words) * 4)
        } else {
            (129, 0)
        };
        received.get(at) == Some(&kind) && received.get(at + 4..) == sent.get(4..)
    }

    /// Sends it, and waits for it or for the answer until the time is over or the program is to end.
    pub fn send(&self, patience: Duration, ended: &AtomicBool) -> Result<Outcome> {
        let bytes = self.bytes();
        let mut buffer = vec![0; 65536];
        let end = Instant::now() + patience;
        let called_ns = now_ns()?;
        let sent = self
            .sender
            .send(&bytes)
            .with_context(|| self.address.ip().to_string())?;
        if sent != bytes.len() {
            bail!("{sent} of {} bytes were sent", bytes.len());
        }
        let mut received_ns = None;
        while received_ns.is_none() && Instant::now() < end && !ended.load(Ordering::Relaxed) {
            match (&self.receiver).read(&mut buffer) {
                Ok(len) => {
                    let now = now_ns()?;
                    if self.is_it(&buffer[..len], &bytes) {
                        received_ns = Some(now);
                    }
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    // What the other host or a router says to it.
                    ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable => break,
                    _ => return Err(error).context("receiving"),
                },
            }
        }
        Ok(Outcome {
            called_ns,
            received_ns,
        })
    }
}

/// The checksum of the internet (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| (u32::from(pair[0]) << 8) | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums() {
        // The example of RFC 1071.
        assert_eq!(checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        let mut echo = vec![8, 0, 0, 0, 1, 2, 0, 1, 9];
        let sum = checksum(&echo).to_be_bytes();
        echo[2..4].copy_from_slice(&sum);
        assert_eq!(checksum(&echo), 0);
    }

    #[test]
    fn of_this_machine() {
        let error = |address: &str| Packet::new(address.parse().unwrap(), Some(1)).err();
        assert!(error("0.0.0.0").is_some() && error("224.0.0.1").is_some());
    }
}
