//! Planning on threads of its own. The engine walks a plan recursively, so that long SQL needs a large stack; and a plan that
//! takes long must not delay the command's end, which its own thread waits for.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{Class, Error, Result};
use crate::panics;
use crate::runtimes::STACK;

/// Carries out work that plans. If the caller stops waiting, the thread goes on until its work is done or the process ends.
pub(super) async fn on_own_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let handle = Handle::current();
    let (sender, planned) = oneshot::channel();
    let plan = move || {
        let planned = handle.block_on(panics::caught(work)).flatten();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::TryStreamExt;

    use super::*;
    use crate::query::{Engine, in_time};
    use crate::runtimes::of_queries;

    async fn rows(sql: &str) -> Result<usize> {
        let session = Engine::new(64 << 20, &std::env::temp_dir())?.session(chrono_tz::UTC)?;
        let statement = session.statement(sql, "SQL").await?;
        let mut batches = session.run(&statement).await?.batches;
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await.map_err(Error::from_engine)? {
            rows += batch.num_rows();
        }
        Ok(rows)
    }

    /// Carries work out as the program does, on threads with large stacks.
    fn as_the_program<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
        let carry_out = move || of_queries().unwrap().block_on(work);
        let thread = thread::Builder::new().stack_size(STACK).spawn(carry_out);
        thread.unwrap().join().unwrap()
    }

    #[test]
    fn long_sql_is_answered() {
        let chain = |term: &str, operator: &str, terms: usize| vec![term; terms].join(operator);
        for (sql, expected) in [
            (chain("SELECT 1", " UNION ALL ", 300), 300),
            (format!("SELECT {}", chain("1", "+", 1500)), 1),
            (
                format!("SELECT 1 WHERE {}", chain("random() < 2", " OR ", 700)),
                1,
            ),
        ] {
            let head = sql[..40].to_owned();
            let answered = as_the_program(async move { rows(&sql).await });
            assert_eq!(answered.expect(&head), expected, "{head}");
        }
    }

    #[tokio::test]
    async fn a_panic_while_planning_is_an_error() {
        let error = on_own_thread::<()>(async { panic!("of\nplanning") }).await;
        let error = error.unwrap_err();
        assert_eq!(error.class(), Class::Unexpected);
        assert!(error.to_string().contains("of planning"), "{error}");
    }

    #[tokio::test]
    async fn planning_that_takes_too_long_is_not_waited_for() {
        // Blocks its own thread until the test has ended.
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let planning = on_own_thread(async move {
            let _ = ended.recv();
            Ok(())
        });
        let limit = Some(Duration::from_millis(10));
        let error = in_time("--timeout", limit, planning).await.unwrap_err();
        assert_eq!(error.class(), Class::Sql);
        assert!(
            error.to_string().contains("longer than 10ms (--timeout)"),
            "{error}"
        );
        drop(end);
    }
}
