//! Words with digits that are names and no values.

/// Words that keep their digits, in small letters.
const NAMES: [&[u8]; 74] = [
    b"aarch64",
    b"aes128",
    b"aes256",
    b"amd64",
    b"arm64",
    b"base64",
    b"boto3",
    b"btree",
    b"cp949",
    b"ec2",
    b"es256",
    b"ext4",
    b"float32",
    b"float64",
    b"gp2",
    b"gp3",
    b"h2",
    b"h264",
    b"hs256",
    b"http1",
    b"http2",
    b"http3",
    b"i18n",
    b"int16",
    b"int32",
    b"int64",
    b"int8",
    b"ipv4",
    b"ipv6",
    b"iso8601",
    b"k8s",
    b"l10n",
    b"log4j",
    b"log4j2",
    b"md5",
    b"mp3",
    b"mp4",
    b"neo4j",
    b"oauth2",
    b"p50",
    b"p90",
    b"p95",
    b"p99",
    b"pkcs1",
    b"pkcs8",
    b"pm2",
    b"psycopg2",
    b"py3",
    b"python2",
    b"python3",
    b"rfc3339",
    b"route53",
    b"rs256",
    b"s3",
    b"s3a",
    b"sha1",
    b"sha256",
    b"sha512",
    b"slf4j",
    b"sqlite3",
    b"uint16",
    b"uint32",
    b"uint64",
    b"uint8",
    b"urllib3",
    b"utf16",
    b"utf8",
    b"uuid4",
    b"v1",
    b"v2",
    b"web3",
    b"win32",
    b"x509",
    b"x64",
];

/// Whether a word keeps its digits: `s3`, `utf8`, `sha256`, `log4j2`, the `v1` of an API.
pub(super) fn is_name(word: &[u8]) -> bool {
    const LONGEST: usize = 8;
    let mut small = [0; LONGEST];
    let Some(small) = small.get_mut(..word.len()) else {
        return false;
    };
    small.copy_from_slice(word);
    small.make_ascii_lowercase();
    match *small {
        [b'v', b'1'..=b'9'] => true,
        [] => false,
        _ => NAMES.binary_search(&&*small).is_ok(),
    }
}

/// `GET`, and the other methods of HTTP.
pub(super) fn is_method(word: &[u8]) -> bool {
    matches!(
        word,
        b"GET"
            | b"HEAD"
            | b"POST"
            | b"PUT"
            | b"PATCH"
            | b"DELETE"
            | b"OPTIONS"
            | b"CONNECT"
            | b"TRACE"
    )
}

/// `HTTP`, whose version stays: `HTTP/1.1`.
pub(super) fn is_protocol(word: &[u8]) -> bool {
    matches!(word, b"HTTP" | b"TLS" | b"HTTPS" | b"TLSv1" | b"SSH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_the_order_of_their_bytes() {
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn names_keep_their_digits_in_any_case() {
        for name in ["s3", "S3", "utf8", "SHA256", "v1", "v2", "log4j2", "k8s"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for other in ["", "s4", "v12", "worker3", "utf88888888", "btree7"] {
            assert!(!is_name(other.as_bytes()), "{other}");
        }
    }
}
