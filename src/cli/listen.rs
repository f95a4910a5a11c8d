//! `--listen` of the commands that other processes connect to.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::error::{Error, Result};

/// An address by its numbers or its name. An error (usage) for a name of several addresses of which only some are of the
/// loopback, as the first would decide. The error has an example with the command's own port.
pub(super) fn address(text: &str, own_port: u16) -> Result<SocketAddr> {
    let wrong = || {
        Error::usage(format!(
            "--listen {text} is no address with a port: expected one such as 127.0.0.1:{own_port} or [::1]:{own_port}"
        ))
    };
    let all: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|error| wrong().caused_by(error))?
        .collect();
    let of_loopback = |address: &&SocketAddr| address.ip().is_loopback();
    let open = all.iter().find(|address| !of_loopback(address));
    open.or(all.first()).copied().ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port() {
        assert_eq!(address("127.0.0.1:5432", 5432).unwrap().port(), 5432);
        assert!(address("[::1]:1", 5432).unwrap().ip().is_loopback());
        for text in ["5432", "127.0.0.1", "", "nowhere.invalid:5432"] {
            let error = address(text, 50051).unwrap_err().to_string();
            assert!(
                error.contains("is no address with a port: expected one such as 127.0.0.1:50051"),
                "{error}"
            );
        }
    }
}
