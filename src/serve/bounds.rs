//! What ends a statement before its end: a cancel request, its time, a client that has gone, the end of the server.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::watch;
use tokio::time::Instant;

use super::cancel::Registration;
use super::errors::{End, Refusal};

/// How often a client is looked for that sends nothing while its statement runs.
const LOOK: Duration = Duration::from_millis(500);

/// How far the end of the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// It goes on.
    No,
    /// No statement begins, and those that run go on.
    Soon,
    /// Every statement ends.
    Now,
}

/// The socket of a connection, to find out whether the client is there.
pub struct Watch(OwnedFd);

impl Watch {
    /// Over a socket of its own number.
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Whether the client has closed its side, also where messages of it are not read yet.
    fn is_gone(&self) -> bool {
        #[cfg(target_os = "linux")]
        const GONE: PollFlags = PollFlags::RDHUP;
        #[cfg(not(target_os = "linux"))]
        const GONE: PollFlags = PollFlags::HUP;
        let mut polled = [PollFd::new(&self.0, GONE)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&now)).is_ok_and(|found| found > 0)
    }

    async fn gone(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.is_gone() {
                return;
            }
        }
    }
}

/// The bounds of the statements of a connection.
pub struct Bounds {
    /// Its place among those that can be cancelled.
    pub registration: Registration,
    /// Its socket.
    pub watch: Watch,
    /// The end of the server.
    pub stop: watch::Receiver<Stop>,
}

impl Bounds {
    /// Carries out the work of a statement, up to one of its bounds. `limit` is how long it may take, the time in which the
    /// client reads included.
    pub async fn within<T>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = Result<T, End>>,
    ) -> Result<T, End> {
        let mut begun = self.registration.running.begin();
        tokio::select! {
            done = work => done,
            () = begun.cancelled() => {
                let what = "canceling statement due to user request";
                Err(End::Refused(Refusal::new("57014", what)))
            }
            end = self.exceeded(limit) => Err(end),
        }
    }

    /// Sends what a statement has answered, which no cancel request ends. A client that does not read for longer than a
    /// statement may take is gone.
    pub async fn sending(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = std::io::Result<()>>,
    ) -> Result<(), End> {
        tokio::select! {
            done = work => Ok(done?),
            end = self.exceeded(limit) => Err(match end {
                End::Refused(_) => End::Gone,
                end => end,
            }),
        }
    }

    async fn exceeded(&self, limit: Option<Duration>) -> End {
        let mut stop = self.stop.clone();
        let deadline = limit.map(|limit| (limit, Instant::now() + limit));
        let late = async {
            match deadline {
                Some((limit, deadline)) => {
                    tokio::time::sleep_until(deadline).await;
                    limit
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            limit = late => {
                let limit = humantime::format_duration(limit);
                let what = format!("canceling statement due to statement timeout: it takes longer than {limit}");
                End::Refused(Refusal::new("57014", what))
            }
            () = self.watch.gone() => End::Gone,
            () = until(&mut stop, Stop::Now) => End::Fatal(shutting_down()),
        }
    }
}

/// Returns when the end of the server is so near.
pub async fn until(stop: &mut watch::Receiver<Stop>, wanted: Stop) {
    let is_gone = stop.wait_for(|stop| *stop >= wanted).await.is_err();
    if is_gone {
        // The server is gone, and with it every connection.
        std::future::pending::<()>().await;
    }
}

/// What a client is sent at the end of the server.
pub fn shutting_down() -> Refusal {
    Refusal::new(
        "57P01",
        "terminating connection due to administrator command",
    )
}
