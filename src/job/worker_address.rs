//! The addresses of workers: `host:port`, or `dns://name:port` for every address of a name.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::checked::Text;

/// Where a worker is, or several that have one name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerAddress {
    /// A name, or an address by its numbers: of IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether each address of the name is a worker.
    pub every: bool,
}

impl FromStr for WorkerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no worker: expected host:port, such as 10.0.1.7:50051 or [::1]:50051, or dns://name:port for every address of a name"
            )
        };
        let (rest, every) = match text.strip_prefix("dns://") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        let numbers = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_numbers = match numbers {
            Some(numbers) => numbers.parse::<Ipv6Addr>().is_ok(),
            None => host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_ipv4()),
        };
        let is_name = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if port == 0 || (every && is_numbers) || !(is_numbers || is_name) {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
            every,
        })
    }
}

impl fmt::Display for WorkerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.every { "dns://" } else { "" };
        write!(f, "{scheme}{}:{}", self.host, self.port)
    }
}

impl<'de> Deserialize<'de> for WorkerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for text in [
            "127.0.0.1:50051",
            "[::1]:80",
            "worker-7.local:1",
            "dns://workers.logtally.local:50051",
        ] {
            let address: WorkerAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.every, text.starts_with("dns://"));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "worker",
            "worker:",
            ":1",
            "worker:0",
            "worker:70000",
            "http://worker:1",
            "worker:1/path",
            "user@worker:1",
            "dns://",
            "dns://name",
            "dns://10.0.0.1:1",
            "dns://[::1]:1",
            "a b:1",
            "worker:1:2",
            "::1:50051",
        ] {
            let error = text.parse::<WorkerAddress>().unwrap_err();
            assert!(error.contains("expected host:port"), "{text}: {error}");
        }
    }
}
