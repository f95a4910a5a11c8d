//! The messages of a connection. What a client can make the server keep is limited: the length of a message, before and
//! after it has authenticated, and what is written and not yet read.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::bounds::Watch;
use bytes::BytesMut;
use futures::StreamExt;
use pgwire::api::{ClientInfo, DefaultClient, PgWireConnectionState};
use pgwire::error::PgWireError;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::TlsAcceptor;
use pgwire::tokio::server::{MaybeTls, PgWireMessageServerCodec, negotiate_tls};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::codec::{Decoder, Encoder, Framed, FramedParts};

/// The longest message of a client that has not authenticated, in bytes, as PostgreSQL has it for the first one.
const MOST_BEFORE: usize = 10_000;

/// The longest message of a client, in bytes. SQL and its parameters are longer by mistake only.
const MOST_AFTER: usize = 16 << 20;

/// What is written before it is sent, in bytes.
const FULL: usize = 64 << 10;

/// Reads and writes messages.
struct Codec {
    inner: PgWireMessageServerCodec<()>,
    most: usize,
}

impl Decoder for Codec {
    type Item = PgWireFrontendMessage;
    type Error = PgWireError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, PgWireError> {
        // The first message has no letter in front of its length.
        let start = match self.inner.client_info.state() {
            PgWireConnectionState::AwaitingSslRequest | PgWireConnectionState::AwaitingStartup => 0,
            _ => 1,
        };
        let length = bytes.get(start..start + 4);
        if let Some(length) = length.and_then(|length| <[u8; 4]>::try_from(length).ok()) {
            let length = u32::from_be_bytes(length) as usize;
            if length > self.most {
                return Err(PgWireError::MessageTooLarge(self.most, length));
            }
        }
        self.inner.decode(bytes)
    }
}

impl Encoder<PgWireBackendMessage> for Codec {
    type Error = io::Error;

    fn encode(&mut self, message: PgWireBackendMessage, bytes: &mut BytesMut) -> io::Result<()> {
        self.inner.encode(message, bytes)
    }
}

/// A connection as messages.
pub struct Wire {
    framed: Framed<MaybeTls, Codec>,
}

impl Wire {
    /// A connection that was accepted, behind the negotiation of TLS; `None` for a client that begins with TLS where the
    /// server has none.
    pub async fn open(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Option<Self>> {
        let Some(negotiated) = negotiate_tls::<()>(stream, tls).await? else {
            return Ok(None);
        };
        let parts = negotiated.into_parts();
        if parts.codec.client_info.is_secure && !parts.read_buf.is_empty() {
            // What came before the handshake would be read as if the client had sent it through TLS (CVE-2021-23214).
            return Err(io::Error::other("data in front of the TLS handshake"));
        }
        let codec = Codec {
            inner: parts.codec,
            most: MOST_BEFORE,
        };
        let mut framed = FramedParts::new(parts.io, codec);
        framed.read_buf = parts.read_buf;
        framed.write_buf = parts.write_buf;
        Ok(Some(Self {
            framed: Framed::from_parts(framed),
        }))
    }

    /// What the client has said of itself.
    pub fn client(&mut self) -> &mut DefaultClient<()> {
        &mut self.framed.codec_mut().inner.client_info
    }

    /// Allows messages of the length of statements.
    pub fn trust(&mut self) {
        self.framed.codec_mut().most = MOST_AFTER;
        self.client()
            .set_state(PgWireConnectionState::ReadyForQuery);
    }

    /// The next message; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Result<PgWireFrontendMessage, PgWireError>> {
        self.framed.next().await
    }

    /// Appends a message to what is sent.
    pub fn put(&mut self, message: PgWireBackendMessage) -> io::Result<()> {
        let mut bytes = std::mem::take(self.framed.write_buffer_mut());
        let encoded = self.framed.codec_mut().encode(message, &mut bytes);
        *self.framed.write_buffer_mut() = bytes;
        encoded
    }

    /// What is sent next.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.framed.write_buffer_mut()
    }

    /// Whether so much is written that it is sent before more is.
    pub fn is_full(&self) -> bool {
        self.framed.write_buffer().len() >= FULL
    }

    /// Sends what is written. It can be given up and begun again.
    pub async fn flush(&mut self) -> io::Result<()> {
        futures::SinkExt::<PgWireBackendMessage>::flush(&mut self.framed).await
    }

    /// Sends what is written, and that nothing follows.
    pub async fn close(mut self) -> io::Result<()> {
        self.flush().await?;
        self.framed.get_mut().shutdown().await
    }

    /// The socket under a number of its own, to look at it while this one is in use.
    pub fn watch(&self) -> io::Result<Watch> {
        let socket = self
            .socket()
            .ok_or_else(|| io::Error::other("a connection of no kind that is known"))?;
        Ok(Watch::new(socket.try_clone_to_owned()?))
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self.framed.get_ref() {
            MaybeTls::Plain(stream) => Some(stream.as_fd()),
            MaybeTls::Tls(stream) => Some(stream.get_ref().0.as_fd()),
            _ => None,
        }
    }
}
