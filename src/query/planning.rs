//! Planning on threads of its own. The engine walks a plan recursively, so that long SQL needs a large stack; and a plan
//! that takes long must not delay the command's end, which its own thread waits for.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{Class, Error, Result};
use crate::panics;

/// The stack of a thread that plans, or that carries a command out. Only what is used of it takes memory. Measured without
/// optimisation, the longest SQL that is allowed takes less than half of it.
pub const STACK: usize = 256 << 20;

/// Carries out work that plans. If the caller stops waiting, the thread goes on until its work is done or the process ends.
pub(super) async fn on_own_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let runtime = Handle::current();
    let (sender, planned) = oneshot::channel();
    let plan = move || {
        let planned = runtime.block_on(panics::caught(work)).flatten();
        // A caller that has stopped waiting needs no plan.
        let _ = sender.send(planned);
    };
    let failed = |error| Error::new(Class::Unexpected, "can't plan the query").caused_by(error);
    thread::Builder::new()
        .name("planning".to_owned())
        .stack_size(STACK)
        .spawn(plan)
        .map_err(failed)?;
    planned.await.map_err(|_| {
        Error::new(
            Class::Unexpected,
            "the query's planning ended without a plan",
        )
    })?
}
