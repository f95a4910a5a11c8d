//! Writing on a thread of its own: a reader that does not read, such as a pager, delays no signal.

use std::io::{self, Write};

use tokio::sync::{mpsc, oneshot};

use super::stop::{Stop, write_error};

/// The blocks that wait to be written, at most. Each has the rows of a batch.
const BLOCKS_AHEAD: usize = 2;

/// Writes blocks in turn. If it is dropped before its end, the thread ends behind the block that it writes.
pub struct Writer {
    blocks: mpsc::Sender<Vec<u8>>,
    /// Until the thread is known to have ended.
    ended: Option<oneshot::Receiver<io::Result<()>>>,
    name: String,
}

impl Writer {
    /// Begins to write to a place, which `name` is called by in errors.
    pub fn start(to: impl Write + Send + 'static, name: &str) -> Result<Self, Stop> {
        let (blocks, receiver) = mpsc::channel(BLOCKS_AHEAD);
        let (sender, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("writing".to_owned())
            .spawn(move || {
                // The command may have been stopped.
                let _ = sender.send(write_all(to, receiver));
            })
            .map_err(|error| write_error(name, error))?;
        Ok(Self {
            blocks,
            ended: Some(ended),
            name: name.to_owned(),
        })
    }

    /// Adds a block.
    ///
    /// # Errors
    /// Why an earlier block could not be written.
    pub async fn write(&mut self, block: Vec<u8>) -> Result<(), Stop> {
        if block.is_empty() || self.blocks.send(block).await.is_ok() {
            return Ok(());
        }
        // The thread has ended early.
        outcome(self.ended.take(), &self.name)
            .await
            .and(Err(Stop::Done))
    }

    /// Waits until all is written.
    pub async fn finish(self) -> Result<(), Stop> {
        drop(self.blocks);
        outcome(self.ended, &self.name).await
    }
}

/// How the thread ended; nothing where that is known already.
async fn outcome(ended: Option<oneshot::Receiver<io::Result<()>>>, name: &str) -> Result<(), Stop> {
    match ended {
        Some(ended) => match ended.await {
            Ok(Err(error)) => Err(write_error(name, error)),
            Ok(Ok(())) | Err(_) => Ok(()),
        },
        None => Ok(()),
    }
}

fn write_all(mut to: impl Write, mut blocks: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(block) = blocks.blocking_recv() {
        to.write_all(&block)?;
        // A reader of a pipe gets the rows of a batch when they are there.
        to.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has room for some bytes, and then has gone away.
    struct Closing(usize);

    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.min(bytes.len()) {
                0 => Err(io::ErrorKind::BrokenPipe.into()),
                taken => {
                    self.0 -= taken;
                    Ok(taken)
                }
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_ends_the_writing() {
        let Ok(mut writer) = Writer::start(Closing(5), "the answer") else {
            panic!("a thread");
        };
        let mut stopped = None;
        for _ in 0..10 {
            if let Err(stop) = writer.write(b"abc".to_vec()).await {
                stopped = Some(stop);
                break;
            }
        }
        assert!(matches!(stopped, Some(Stop::Done)));
        assert!(writer.finish().await.is_ok());
    }

    #[tokio::test]
    async fn a_full_disk_is_named() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let Ok(mut writer) = Writer::start(Full, "answer.csv") else {
            panic!("a thread");
        };
        let written = writer.write(b"abc".to_vec()).await;
        let stopped = written.and(writer.finish().await);
        let Err(Stop::Failed(error)) = stopped else {
            panic!("the disk is full");
        };
        assert_eq!(error.class().exit_code(), 7);
        assert!(
            error.to_string().starts_with("can't write answer.csv: "),
            "{error}"
        );
    }
}
