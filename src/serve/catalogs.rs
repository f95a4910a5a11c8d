//! The tables that connections share. A catalog is opened once for its windows and zone and lists its objects once; after a
//! while it is opened again, so that a server that stays up answers over what has been exported since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono_tz::Tz;

use super::errors::Refusal;
use crate::error::{Error, Result};
use crate::query::Session;
use crate::run::Environment;
use crate::run::catalog::{self, Catalog, CatalogRequest, Missing, Subject, Windows};

/// The catalogs, by what they are of.
pub struct Catalogs {
    environment: Environment,
    subjects: Arc<[Subject]>,
    request: CatalogRequest,
    refresh: Duration,
    open: Mutex<HashMap<Of, Opened>>,
}

/// The windows as they are written, and the zone that a client has set.
type Of = (String, Option<Tz>);

#[derive(Clone)]
struct Opened {
    catalog: Arc<Catalog>,
    at: Instant,
}

/// The tables of a connection: those of a catalog, with views of its own.
pub struct Tables {
    /// What they are of.
    pub session: Session,
    catalog: Arc<Catalog>,
    of: Of,
    at: Instant,
}

impl Tables {
    /// An error of planning or running a query; where windows have no export, with the command that helps.
    pub fn in_words(&self, error: Error) -> Error {
        match self.catalog.missing_of(&error) {
            Some(missing) => Error::usage(missing.to_string()).with_hint(help(&missing)),
            None => error,
        }
    }

    /// What is odd about the events that queries over these tables have read so far: events that an answer lacks or may have
    /// twice, lines that belong to no event.
    pub fn warnings(&self) -> Vec<Refusal> {
        let warning = |text: String| Refusal::new("01000", text);
        let deleted = self.catalog.deleted().iter().map(|missing| {
            warning(format!("answers cover only the rest: {missing}")).with_hint(help(missing))
        });
        let notes = self.catalog.notes().iter().cloned();
        let others = notes
            .chain(self.catalog.provisional())
            .chain(self.catalog.oddities());
        deleted.chain(others.map(warning)).collect()
    }
}

/// What to do where events are missing.
fn help(missing: &Missing) -> String {
    let job = missing.job();
    match missing {
        Missing::Deleted { .. } => {
            format!("export it again on the server: logtally run {job}.toml --force")
        }
        _ => format!(
            "export it on the server with logtally run {job}.toml, or choose other windows: SET logtally.window = 'all'"
        ),
    }
}

impl Catalogs {
    /// Catalogs over some subjects that are opened again after some time.
    pub fn new(
        environment: Environment,
        subjects: Vec<Subject>,
        request: CatalogRequest,
        refresh: Duration,
    ) -> Self {
        Self {
            environment,
            subjects: subjects.into(),
            request,
            refresh,
            open: Mutex::default(),
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Of, Opened>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tables of windows as they are written, in a zone that a client has set.
    ///
    /// # Errors
    /// As of [`catalog::open`].
    pub async fn tables(&self, window: &str, zone: Option<Tz>) -> Result<Tables> {
        let of = (window.to_owned(), zone);
        let found = self
            .all()
            .get(&of)
            .filter(|it| !self.is_old(it.at))
            .cloned();
        let opened = match found {
            Some(opened) => opened,
            None => {
                let request = CatalogRequest {
                    windows: Windows::parse(window),
                    timezone: zone.or(self.request.timezone),
                    ..self.request.clone()
                };
                let subjects = Arc::clone(&self.subjects);
                let opened = Opened {
                    at: Instant::now(),
                    catalog: Arc::new(catalog::open(&self.environment, subjects, &request).await?),
                };
                let mut all = self.all();
                all.retain(|_, other| !self.is_old(other.at));
                all.insert(of.clone(), opened.clone());
                opened
            }
        };
        Ok(Tables {
            session: opened.catalog.session.fork(),
            catalog: opened.catalog,
            of,
            at: opened.at,
        })
    }

    /// The same tables as they are now, with the views of the connection; `None` where they are new enough.
    ///
    /// # Errors
    /// As of [`Catalogs::tables`].
    pub async fn renewed(&self, tables: &Tables) -> Result<Option<Tables>> {
        if !self.is_old(tables.at) {
            return Ok(None);
        }
        let (window, zone) = &tables.of;
        let renewed = self.tables(window, *zone).await?;
        renewed.session.take_views_of(&tables.session).await?;
        Ok(Some(renewed))
    }

    fn is_old(&self, at: Instant) -> bool {
        at.elapsed() > self.refresh
    }
}
