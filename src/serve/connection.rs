//! A connection: reads its messages, and answers each in turn.
//!
//! [`extended`] has the messages of prepared statements, [`kept`] what a client may leave behind, this file the loop, queries
//! in one message and the commands around queries. Source: <https://www.postgresql.org/docs/15/protocol-flow.html>.

mod extended;
mod kept;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;
use pgwire::error::PgWireError;
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus,
};
use pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};

use super::bounds::{Bounds, Stop, shutting_down, until};
use super::catalogs::Tables;
use super::catalogue::{self, Facts};
use super::errors::{End, Refusal};
use super::language::Command;
use super::question::{self, Planned};
use super::rows::{Column, Rows, description};
use super::settings::{Change, Settings, WINDOW};
use super::types::Kind;
use super::wire::Wire;
use super::{Shared, startup};
use crate::query::{Bound, Session, statements};
use extended::{Portal, Prepared};
use kept::Kept;

/// How long the last message may take to be sent.
const LAST_WORD: Duration = Duration::from_secs(5);

/// A connection whose client has authenticated.
pub struct Connection {
    shared: Arc<Shared>,
    wire: Wire,
    bounds: Bounds,
    settings: Settings,
    tables: Arc<Tables>,
    /// The session with the catalogue, made when a query first names it.
    catalogue: Option<Session>,
    database: String,
    user: String,
    number: i32,
    transaction: Transaction,
    statements: Kept<Arc<Prepared>>,
    portals: Kept<Portal>,
    cursors: Kept<Rows>,
    /// The warnings that the client has been sent, so that each is sent once.
    warned: HashSet<String>,
    /// Whether messages are skipped up to the next `Sync`, as one before failed.
    is_skipping: bool,
}

/// A transaction, which changes nothing but settings.
#[derive(Debug, Default)]
struct Transaction {
    status: Status,
    /// The settings at its begin, which ROLLBACK sets again.
    before: Option<Settings>,
    /// The names of the settings that hold up to its end.
    local: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Status {
    #[default]
    Idle,
    Open,
    Failed,
}

/// What comes behind a message.
enum Flow {
    GoOn,
    Leave,
}

impl Connection {
    /// Opens the tables of a client, and tells it that queries can come.
    ///
    /// # Errors
    /// Settings that it can't have, tables that can't be opened.
    pub async fn open(
        shared: Arc<Shared>,
        mut wire: Wire,
        bounds: Bounds,
        number: i32,
        asked: &BTreeMap<String, String>,
    ) -> Result<Self, Box<(Wire, End)>> {
        match prepare(&shared, &mut wire, asked).await {
            Err(end) => Err(Box::new((wire, end))),
            Ok((settings, tables)) => {
                let named = |name: &str| asked.get(name).cloned();
                let user = named("user").unwrap_or_else(|| "logtally".to_owned());
                Ok(Self {
                    database: named("database").unwrap_or_else(|| user.clone()),
                    user,
                    shared,
                    wire,
                    bounds,
                    settings,
                    tables: Arc::new(tables),
                    catalogue: None,
                    number,
                    transaction: Transaction::default(),
                    statements: Kept::of("prepared statements"),
                    portals: Kept::of("portals"),
                    cursors: Kept::of("cursors"),
                    warned: HashSet::new(),
                    is_skipping: false,
                })
            }
        }
    }

    /// Answers messages until the client leaves.
    pub async fn serve(mut self) {
        let end = self.talk().await;
        if let Err(End::Fatal(refusal)) = end {
            say_last(self.wire, &refusal).await;
        }
    }

    async fn talk(&mut self) -> Result<(), End> {
        self.ready()?;
        self.wire.flush().await?;
        loop {
            let message = self.next().await?;
            let is_extended = message.is_extended_query();
            let done = self.handle(message).await;
            match done {
                Ok(Flow::GoOn) if self.wire.is_full() => self.flush().await?,
                Ok(Flow::GoOn) => {}
                Ok(Flow::Leave) => return Ok(()),
                Err(End::Refused(refusal)) => {
                    tracing::debug!(
                        code = refusal.code,
                        "a statement failed: {}",
                        refusal.message
                    );
                    self.fail(&refusal)?;
                    match is_extended {
                        true => self.is_skipping = true,
                        false => self.ready()?,
                    }
                    self.flush().await?;
                }
                Err(end) => return Err(end),
            }
        }
    }

    /// The next message. While none comes, the server may end, and answers that were begun are given up after the time that
    /// they may take.
    async fn next(&mut self) -> Result<PgWireFrontendMessage, End> {
        loop {
            let mut stop = self.bounds.stop.clone();
            let is_open = !self.portals.is_empty() || !self.cursors.is_empty();
            let limit = self.limit().filter(|_| is_open);
            let late = async {
                match limit {
                    Some(limit) => tokio::time::sleep(limit).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                message = self.wire.next() => message,
                () = until(&mut stop, Stop::Soon) => return Err(End::Fatal(shutting_down())),
                () = late => {
                    self.portals.clear();
                    self.cursors.clear();
                    continue;
                }
            };
            return match message {
                None | Some(Err(PgWireError::IoError(_))) => Err(End::Gone),
                Some(Ok(message)) => Ok(message),
                Some(Err(error)) => Err(End::Fatal(Refusal::new("08P01", error.to_string()))),
            };
        }
    }

    async fn handle(&mut self, message: PgWireFrontendMessage) -> Result<Flow, End> {
        use PgWireFrontendMessage as M;
        if self.is_skipping && !matches!(message, M::Sync(_) | M::Terminate(_)) {
            return Ok(Flow::GoOn);
        }
        match message {
            M::Terminate(_) => return Ok(Flow::Leave),
            M::Query(query) => self.simple(&query.query).await?,
            M::Parse(parse) => self.parse(parse).await?,
            M::Bind(bind) => self.bind(&bind)?,
            M::Describe(describe) => self.describe(&describe).await?,
            M::Execute(execute) => self.execute(&execute).await?,
            M::Close(close) => self.close(&close)?,
            M::Flush(_) => self.flush().await?,
            M::Sync(_) => {
                self.is_skipping = false;
                if self.transaction.status == Status::Idle {
                    self.portals.clear();
                }
                self.ready()?;
                self.flush().await?;
            }
            // Data for a COPY that this server never asks for.
            M::CopyData(_) | M::CopyDone(_) | M::CopyFail(_) => {}
            _ => {
                let what = "a message that does not belong here";
                return Err(End::Fatal(Refusal::new("08P01", what)));
            }
        }
        Ok(Flow::GoOn)
    }

    /// Sends what is written.
    async fn flush(&mut self) -> Result<(), End> {
        let limit = self.limit();
        self.bounds.sending(limit, self.wire.flush()).await
    }

    /// Says that the next query can come, behind the warnings of those before.
    fn ready(&mut self) -> Result<(), End> {
        for warning in self.tables.warnings() {
            if self.warned.insert(warning.message.clone()) {
                self.wire.put(warning.notice())?;
            }
        }
        let status = match self.transaction.status {
            Status::Idle => TransactionStatus::Idle,
            Status::Open => TransactionStatus::Transaction,
            Status::Failed => TransactionStatus::Error,
        };
        let ready = ReadyForQuery::new(status);
        Ok(self.wire.put(PgWireBackendMessage::ReadyForQuery(ready))?)
    }

    fn fail(&mut self, refusal: &Refusal) -> Result<(), End> {
        if self.transaction.status == Status::Open {
            self.transaction.status = Status::Failed;
        }
        Ok(self.wire.put(refusal.response("ERROR"))?)
    }

    fn complete(&mut self, tag: String) -> Result<(), End> {
        let complete = CommandComplete::new(tag);
        Ok(self
            .wire
            .put(PgWireBackendMessage::CommandComplete(complete))?)
    }

    /// The time that a statement may take: that of the server, or less where the client says so.
    fn limit(&self) -> Option<Duration> {
        match (self.shared.timeout, self.settings.timeout()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Answers the statements of a text, up to the first that fails.
    async fn simple(&mut self, text: &str) -> Result<(), End> {
        self.renew().await?;
        let all = statements(text);
        if all.is_empty() {
            let empty = EmptyQueryResponse::new();
            self.wire
                .put(PgWireBackendMessage::EmptyQueryResponse(empty))?;
        }
        for statement in all {
            let sql = statement.sql;
            let prepared = Prepared::new(&sql, Vec::new())?;
            self.ensure_not_failed(&prepared.command)?;
            if let Some((mut rows, tag)) = self.carry_out(&prepared, Bound::default()).await? {
                let described = description(&rows.columns, &[]);
                self.wire.put(described)?;
                let limit = self.limit();
                let sent = rows.send(&mut self.wire, None);
                let sent = self.bounds.within(limit, sent).await?;
                self.complete(tagged(tag, sent.rows))?;
            }
        }
        self.ready()?;
        self.flush().await
    }

    /// The tables as they are now, but within a transaction.
    async fn renew(&mut self) -> Result<(), End> {
        if self.transaction.status != Status::Idle || !self.cursors.is_empty() {
            return Ok(());
        }
        let (shared, tables) = (Arc::clone(&self.shared), Arc::clone(&self.tables));
        let renewed = async move { shared.catalogs.renewed(&tables).await };
        match self.shared.on_engine(renewed).await {
            Ok(None) => {}
            Ok(Some(tables)) => self.use_tables(tables),
            // What was there before is answered all the same.
            Err(error) => tracing::warn!("the tables can't be listed again: {error}"),
        }
        Ok(())
    }

    fn use_tables(&mut self, tables: Tables) {
        self.tables = Arc::new(tables);
        self.catalogue = None;
    }

    fn ensure_not_failed(&self, command: &Command) -> Result<(), End> {
        let ends = matches!(
            command,
            Command::Commit | Command::Rollback | Command::RollbackTo
        );
        match self.transaction.status {
            Status::Failed if !ends => Err(Refusal::new(
                "25P02",
                "current transaction is aborted, commands ignored until end of transaction block",
            )
            .into()),
            _ => Ok(()),
        }
    }

    /// The session of queries that name the catalogue, for one that does.
    async fn catalogue_for(&mut self, sql: &str) -> Result<Option<Session>, End> {
        if !catalogue::is_named_in(sql) {
            return Ok(None);
        }
        if let Some(session) = &self.catalogue {
            return Ok(Some(session.clone()));
        }
        let settings = self.settings.iter();
        let facts = Facts {
            tables: self.tables.session.all_tables().await,
            functions: self.tables.session.functions(),
            cursors: self.cursors.keys().cloned().collect(),
            settings: settings
                .map(|(name, value)| (name, value.to_owned()))
                .collect(),
            database: self.database.clone(),
            user: self.user.clone(),
            number: self.number,
            is_encrypted: self.wire.client().is_secure,
        };
        let session = catalogue::session(&self.tables.session, &facts);
        let session = session.map_err(|error| Refusal::of(&error, sql))?;
        self.catalogue = Some(session.clone());
        Ok(Some(session))
    }

    /// Carries out a statement: a query up to its first row, which is returned with the word that its end is said with; any
    /// other to its end.
    async fn carry_out(
        &mut self,
        prepared: &Prepared,
        bound: Bound,
    ) -> Result<Option<(Rows, &'static str)>, End> {
        let sql = &prepared.sql;
        match &prepared.command {
            Command::Query => return self.query(sql, bound).await,
            Command::Set {
                name,
                value,
                is_local,
                is_reset,
            } => {
                self.set(name, value.as_deref(), *is_local).await?;
                self.complete(if *is_reset { "RESET" } else { "SET" }.to_owned())?;
            }
            Command::ResetAll => {
                self.reset().await?;
                self.complete("RESET".to_owned())?;
            }
            Command::Show(name) => {
                let value = self.settings.get(name)?.to_owned();
                return Ok(Some((
                    self.texts(&[name.as_str()], vec![vec![value]])?,
                    "SHOW",
                )));
            }
            Command::ShowAll => {
                let all = self
                    .settings
                    .iter()
                    .map(|(name, value)| vec![name.to_owned(), value.to_owned(), String::new()]);
                let all: Vec<Vec<String>> = all.collect();
                return Ok(Some((
                    self.texts(&["name", "setting", "description"], all)?,
                    "SHOW",
                )));
            }
            Command::Begin(tag) => {
                self.begin()?;
                self.complete((*tag).to_owned())?;
            }
            Command::Commit => {
                let tag = if self.transaction.status == Status::Failed {
                    "ROLLBACK"
                } else {
                    "COMMIT"
                };
                self.end_transaction(tag == "COMMIT").await?;
                self.complete(tag.to_owned())?;
            }
            Command::Rollback => {
                self.end_transaction(false).await?;
                self.complete("ROLLBACK".to_owned())?;
            }
            Command::RollbackTo => {
                if self.transaction.status == Status::Failed {
                    self.transaction.status = Status::Open;
                }
                self.complete("ROLLBACK".to_owned())?;
            }
            Command::Nothing(tag) => self.complete((*tag).to_owned())?,
            Command::Copy { query, form } => {
                let Some((rows, _)) = self.query(query, bound).await? else {
                    return Err(Refusal::new("42601", "COPY needs a query").into());
                };
                let limit = self.limit();
                let copied = rows.copy(&mut self.wire, form);
                let count = self.bounds.within(limit, copied).await?;
                self.complete(format!("COPY {count}"))?;
            }
            Command::Declare { name, query } => {
                if self.cursors.contains_key(name) {
                    return Err(
                        Refusal::new("42P03", format!("cursor \"{name}\" already exists")).into(),
                    );
                }
                self.cursors.ensure_room(name, query.len())?;
                if let Some((rows, _)) = self.query(query, bound).await? {
                    self.cursors.insert(name.clone(), rows, query.len());
                    self.catalogue = None;
                }
                self.complete("DECLARE CURSOR".to_owned())?;
            }
            Command::Fetch {
                name,
                count,
                is_move,
            } => {
                let columns = self.cursor_columns(name)?;
                if !is_move {
                    // Within the extended protocol, the columns were described before.
                    self.wire.put(description(&columns, &[]))?;
                }
                self.fetch(name, *count, *is_move, &[]).await?;
            }
            Command::Close(name) => {
                self.catalogue = None;
                match name {
                    None => self.cursors.clear(),
                    Some(name) => {
                        self.cursors.remove(name).ok_or_else(|| no_cursor(name))?;
                    }
                }
                let tag = if name.is_none() {
                    "CLOSE CURSOR ALL"
                } else {
                    "CLOSE CURSOR"
                };
                self.complete(tag.to_owned())?;
            }
            Command::Deallocate(name) => {
                match name {
                    None => self.statements.clear(),
                    Some(name) => {
                        let found = self.statements.remove(name);
                        found.ok_or_else(|| no_statement(name))?;
                    }
                }
                let tag = if name.is_none() {
                    "DEALLOCATE ALL"
                } else {
                    "DEALLOCATE"
                };
                self.complete(tag.to_owned())?;
            }
            Command::DiscardAll => {
                self.statements.clear();
                self.portals.clear();
                self.cursors.clear();
                self.reset().await?;
                let tables = tables_of(&self.shared, &self.settings).await?;
                self.use_tables(tables);
                self.complete("DISCARD ALL".to_owned())?;
            }
        }
        Ok(None)
    }

    async fn query(
        &mut self,
        sql: &str,
        bound: Bound,
    ) -> Result<Option<(Rows, &'static str)>, End> {
        let catalogue = self.catalogue_for(sql).await?;
        let (tables, turns) = (Arc::clone(&self.tables), self.shared.turns.clone());
        let sql = sql.to_owned();
        let work = self.shared.on_engine(async move {
            match question::plan(&tables, catalogue.as_ref(), &sql, bound).await? {
                Planned::ViewCreated => Ok(None),
                Planned::Question(question) => {
                    let rows = question.run(&tables, &turns, &sql).await?;
                    Ok(Some((rows, question.tag())))
                }
            }
        });
        let limit = self.limit();
        let found = self.bounds.within(limit, work).await?;
        if found.is_none() {
            self.catalogue = None;
            self.complete("CREATE VIEW".to_owned())?;
        }
        Ok(found)
    }

    /// Sends rows of a cursor, or drops them.
    async fn fetch(
        &mut self,
        name: &str,
        count: Option<usize>,
        is_move: bool,
        forms: &[i16],
    ) -> Result<(), End> {
        let limit = self.limit();
        let (mut rows, bytes) = self.cursors.take(name).ok_or_else(|| no_cursor(name))?;
        rows.set_forms(forms)?;
        let sent = async {
            match is_move {
                true => rows.skip(count).await,
                false => rows.send(&mut self.wire, count).await,
            }
        };
        let sent = self.bounds.within(limit, sent).await?;
        self.cursors.insert(name.to_owned(), rows, bytes);
        let tag = if is_move { "MOVE" } else { "FETCH" };
        self.complete(format!("{tag} {}", sent.rows))
    }

    fn cursor_columns(&self, name: &str) -> Result<Vec<Column>, End> {
        let rows = self.cursors.get(name).ok_or_else(|| no_cursor(name))?;
        Ok(rows.columns.clone())
    }

    /// Texts as rows.
    fn texts(&self, names: &[&str], rows: Vec<Vec<String>>) -> Result<Rows, End> {
        let fields: Vec<Field> = names
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, false))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let columns = (0..names.len()).map(|at| {
            let values = rows.iter().map(|row| row.get(at).cloned());
            Arc::new(StringArray::from_iter(values)) as _
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect());
        let batch = batch.map_err(|error| Refusal::new("XX000", error.to_string()))?;
        let columns = names.iter().map(|name| Column {
            name: (*name).to_owned(),
            kind: Kind::Text,
        });
        let batches = RecordBatchStreamAdapter::new(schema, stream::iter([Ok(batch)]));
        Ok(Rows::new(
            columns.collect(),
            Box::pin(batches),
            chrono_tz::UTC,
        ))
    }

    async fn set(&mut self, name: &str, value: Option<&str>, is_local: bool) -> Result<(), End> {
        let before = self.settings.clone();
        let change = self.settings.set(name, value)?;
        if is_local && self.transaction.status != Status::Idle {
            self.transaction.local.push(name.to_owned());
        }
        self.changed(before, change).await
    }

    async fn reset(&mut self) -> Result<(), End> {
        let before = self.settings.clone();
        let change = self.settings.reset();
        self.changed(before, change).await
    }

    /// Opens the tables that the settings ask for, and tells the client what has changed. Where the tables can't be opened, the
    /// settings stay as they were.
    async fn changed(&mut self, before: Settings, change: Change) -> Result<(), End> {
        if change == Change::Tables {
            match tables_of(&self.shared, &self.settings).await {
                Ok(tables) => {
                    let (session, present) = (tables.session.clone(), Arc::clone(&self.tables));
                    let taken = async move { session.take_views_of(&present.session).await };
                    if let Err(error) = self.shared.on_engine(taken).await {
                        let what = format!(
                            "views of the other windows are gone, create them again: {error}"
                        );
                        self.wire.put(Refusal::new("01000", what).notice())?;
                    }
                    self.use_tables(tables);
                }
                Err(end) => {
                    self.settings = before;
                    return Err(end);
                }
            }
        }
        // `current_setting` answers with them.
        self.catalogue = None;
        self.report(&before)
    }

    fn report(&mut self, before: &Settings) -> Result<(), End> {
        let told: HashMap<&str, &str> = before.reported().collect();
        let changed = self
            .settings
            .reported()
            .filter(|(name, value)| told.get(name) != Some(value));
        let changed: Vec<(String, String)> = changed
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        for (name, value) in changed {
            let status = ParameterStatus::new(name, value);
            self.wire
                .put(PgWireBackendMessage::ParameterStatus(status))?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), End> {
        if self.transaction.status != Status::Idle {
            let what = "there is already a transaction in progress";
            return Ok(self.wire.put(Refusal::new("25001", what).notice())?);
        }
        self.transaction = Transaction {
            status: Status::Open,
            before: Some(self.settings.clone()),
            local: Vec::new(),
        };
        Ok(())
    }

    /// Ends a transaction: settings of it alone are as they were before, on ROLLBACK all.
    async fn end_transaction(&mut self, commits: bool) -> Result<(), End> {
        let transaction = std::mem::take(&mut self.transaction);
        self.cursors.clear();
        let Some(before) = transaction.before else {
            let what = "there is no transaction in progress";
            return Ok(self.wire.put(Refusal::new("25P01", what).notice())?);
        };
        let present = self.settings.clone();
        let mut change = Change::Value;
        let names: Vec<String> = match commits {
            true => transaction.local,
            false => before.iter().map(|(name, _)| name.to_owned()).collect(),
        };
        for name in names {
            if let Ok(value) = before.get(&name)
                && self.settings.set(&name, Some(value))? == Change::Tables
            {
                change = Change::Tables;
            }
        }
        self.changed(present, change).await
    }
}

/// The settings that a client asks for at its start, and its tables.
async fn prepare(
    shared: &Arc<Shared>,
    wire: &mut Wire,
    asked: &BTreeMap<String, String>,
) -> Result<(Settings, Tables), End> {
    let fatal = |end: End| match end {
        End::Refused(refusal) => End::Fatal(refusal),
        end => end,
    };
    let mut settings = Settings::new(shared.zone, &shared.window);
    let options = asked
        .get("options")
        .map(|text| startup::options(text))
        .unwrap_or_default();
    let direct = asked
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    for (name, value) in direct.chain(options.clone()) {
        let is_asked = options.iter().any(|(other, _)| *other == name);
        let lower = name.to_lowercase();
        // Clients send the zone of their own machine, which is not the zone of the job's hours: only `options` asks for another.
        let is_of_client = ["user", "database", "options", "replication"].contains(&lower.as_str())
            || lower.starts_with("_pq_.")
            || lower == "timezone" && !is_asked;
        if is_of_client {
            continue;
        }
        settings.set(&name, Some(&value)).map_err(End::Fatal)?;
        if lower != "timezone" {
            settings.keep(&name);
        }
    }
    if let Some(user) = asked.get("user") {
        settings.authorize(user);
    }
    let tables = tables_of(shared, &settings).await.map_err(fatal)?;
    wire.trust();
    wire.put(PgWireBackendMessage::Authentication(Authentication::Ok))?;
    for (name, value) in settings.reported() {
        let status = ParameterStatus::new(name.to_owned(), value.to_owned());
        wire.put(PgWireBackendMessage::ParameterStatus(status))?;
    }
    let (number, key) = wire.client().pid_secret_key.clone();
    wire.put(PgWireBackendMessage::BackendKeyData(BackendKeyData::new(
        number, key,
    )))?;
    Ok((settings, tables))
}

async fn tables_of(shared: &Arc<Shared>, settings: &Settings) -> Result<Tables, End> {
    let window = settings.get(WINDOW)?.to_owned();
    let (zone, of) = (settings.zone(), Arc::clone(shared));
    let opened = shared.on_engine(async move { of.catalogs.tables(&window, zone).await });
    opened.await.map_err(|error| Refusal::of(&error, "").into())
}

/// Sends the error with which a connection ends.
pub async fn say_last(mut wire: Wire, refusal: &Refusal) {
    if wire.put(refusal.response("FATAL")).is_ok() {
        // A client that does not read it is gone.
        let _ = tokio::time::timeout(LAST_WORD, wire.close()).await;
    }
}

/// The words that end an answer.
fn tagged(tag: &str, rows: u64) -> String {
    match tag {
        "SELECT" | "FETCH" => format!("{tag} {rows}"),
        other => other.to_owned(),
    }
}

fn no_cursor(name: &str) -> Refusal {
    Refusal::new("34000", format!("cursor \"{name}\" does not exist"))
}

fn no_statement(name: &str) -> Refusal {
    Refusal::new(
        "26000",
        format!("prepared statement \"{name}\" does not exist"),
    )
}
