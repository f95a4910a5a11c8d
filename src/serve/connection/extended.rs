//! The messages of prepared statements: parse, bind, describe, execute, close.

use std::sync::Arc;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete,
    PortalSuspended, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::EmptyQueryResponse;

use super::{Connection, no_statement, tagged};
use crate::query::{Bound, BoundType, BoundValue, statements};
use crate::serve::errors::{End, ORIGIN, Refusal};
use crate::serve::language::Command;
use crate::serve::parameters::decode;
use crate::serve::question;
use crate::serve::rows::{Column, Rows, description};
use crate::serve::types::Kind;

/// A statement that is bound to values later, or at once.
pub struct Prepared {
    /// Its SQL, without the semicolon.
    pub sql: String,
    /// What it is.
    pub command: Command,
    is_empty: bool,
    /// The types of its parameters, with their numbers.
    parameters: Vec<(Kind, u32)>,
}

impl Prepared {
    /// A statement.
    ///
    /// # Errors
    /// A command that is not written as it has to be.
    pub fn new(sql: &str, parameters: Vec<(Kind, u32)>) -> Result<Self, Refusal> {
        Ok(Self {
            command: Command::parse(sql)?,
            is_empty: statements(sql).is_empty(),
            sql: sql.to_owned(),
            parameters,
        })
    }

    fn types(&self) -> Vec<BoundType> {
        self.parameters
            .iter()
            .map(|(kind, _)| kind.to_bound())
            .collect()
    }

    /// The query of a statement that has one.
    fn query(&self) -> Option<&str> {
        match &self.command {
            Command::Query => Some(&self.sql),
            Command::Copy { query, .. } | Command::Declare { query, .. } => Some(query),
            _ => None,
        }
    }

    fn creates_view(&self) -> bool {
        let first = self.sql.split_whitespace().next();
        first.is_some_and(|word| word.eq_ignore_ascii_case("CREATE"))
    }
}

/// A statement with its values, and its answer as far as it has been sent.
pub struct Portal {
    prepared: Arc<Prepared>,
    bound: Bound,
    forms: Vec<i16>,
    answer: Answer,
}

enum Answer {
    NotBegun,
    Rows(Box<Rows>, &'static str),
    Ended,
}

impl Connection {
    /// Keeps a statement under a name.
    pub(super) async fn parse(&mut self, parse: Parse) -> Result<(), End> {
        let name = parse.name.unwrap_or_default();
        if !name.is_empty() && self.statements.contains_key(&name) {
            let what = format!("prepared statement \"{name}\" already exists");
            return Err(Refusal::new("42P05", what).into());
        }
        self.renew().await?;
        let all = statements(&parse.query);
        if all.len() > 1 {
            let what = "cannot insert multiple commands into a prepared statement";
            return Err(Refusal::new("42601", what).into());
        }
        let sql = all
            .into_iter()
            .next()
            .map(|one| one.sql)
            .unwrap_or_default();
        let prepared = Prepared::new(&sql, Vec::new())?;
        self.ensure_not_failed(&prepared.command)?;
        self.statements.ensure_room(&name, sql.len())?;
        let parameters = self.parameters_of(&prepared, &parse.type_oids).await?;
        let prepared = Prepared {
            parameters,
            ..prepared
        };
        self.statements.insert(name, Arc::new(prepared), sql.len());
        let complete = ParseComplete::new();
        Ok(self
            .wire
            .put(PgWireBackendMessage::ParseComplete(complete))?)
    }

    /// The types of a statement's parameters: as the client says, else as their places want them, else texts.
    async fn parameters_of(
        &mut self,
        prepared: &Prepared,
        oids: &[u32],
    ) -> Result<Vec<(Kind, u32)>, End> {
        let wanted = match prepared.query() {
            Some(query) if query.contains('$') && !prepared.creates_view() => {
                let catalogue = self.catalogue_for(query).await?;
                let session = catalogue.unwrap_or_else(|| self.tables.session.clone());
                let sql = query.to_owned();
                let types = async move { session.parameter_types(&sql, ORIGIN).await };
                let types = self.shared.on_engine(types).await;
                types.map_err(|error| Refusal::of(&error, query))?
            }
            _ => Vec::new(),
        };
        let count = wanted.len().max(oids.len());
        let kind = |at: usize| {
            let oid = oids.get(at).copied().filter(|oid| ![0, 705].contains(oid));
            match oid {
                Some(oid) => match Kind::of_oid(oid) {
                    Some(kind) => Ok((kind, oid)),
                    None => Err(Refusal::new(
                        "0A000",
                        format!(
                            "${}: values of the type with the number {oid} can't be bound",
                            at + 1
                        ),
                    )),
                },
                None => {
                    let wanted = wanted.get(at).cloned().flatten();
                    let kind = wanted.as_ref().map_or(Kind::Text, Kind::of_bound);
                    let oid = kind.oid();
                    Ok((kind, oid))
                }
            }
        };
        Ok((0..count).map(kind).collect::<Result<_, _>>()?)
    }

    /// Keeps a statement with its values under a name.
    pub(super) fn bind(&mut self, bind: &Bind) -> Result<(), End> {
        let statement = bind.statement_name.clone().unwrap_or_default();
        let portal = bind.portal_name.clone().unwrap_or_default();
        let prepared = self
            .statements
            .get(&statement)
            .ok_or_else(|| no_statement(&statement))?;
        self.ensure_not_failed(&prepared.command)?;
        let (wanted, found) = (prepared.parameters.len(), bind.parameters.len());
        if wanted != found {
            let what = format!(
                "bind message supplies {found} parameters, but prepared statement \"{statement}\" requires {wanted}"
            );
            return Err(Refusal::new("08P01", what).into());
        }
        let values = bind.parameters.iter().zip(&prepared.parameters).enumerate();
        let values = values.map(|(at, (value, (kind, oid)))| {
            let is_binary = match bind.parameter_format_codes.as_slice() {
                [] => false,
                [all] => *all == 1,
                each => each.get(at) == Some(&1),
            };
            let value = decode(kind, *oid, is_binary, value.as_deref());
            let value = value.map_err(|refusal| Refusal {
                message: format!("${}: {}", at + 1, refusal.message),
                ..refusal
            })?;
            Ok((kind.to_bound(), value))
        });
        let values: Result<Vec<(BoundType, BoundValue)>, Refusal> = values.collect();
        let given = bind.parameters.iter().flatten();
        let bytes = given.map(|value| value.len()).sum();
        self.portals.ensure_room(&portal, bytes)?;
        let portal_of = Portal {
            prepared: Arc::clone(prepared),
            bound: Bound(values?),
            forms: bind.result_column_format_codes.clone(),
            answer: Answer::NotBegun,
        };
        self.portals.insert(portal, portal_of, bytes);
        let complete = BindComplete::new();
        Ok(self
            .wire
            .put(PgWireBackendMessage::BindComplete(complete))?)
    }

    /// Describes the parameters of a statement, and the columns of its answer or of a portal's.
    pub(super) async fn describe(&mut self, describe: &Describe) -> Result<(), End> {
        let name = describe.name.clone().unwrap_or_default();
        if describe.target_type == TARGET_TYPE_BYTE_STATEMENT {
            let prepared = self
                .statements
                .get(&name)
                .ok_or_else(|| no_statement(&name))?;
            let prepared = Arc::clone(prepared);
            let oids = prepared.parameters.iter().map(|(_, oid)| *oid).collect();
            let described = ParameterDescription::new(oids);
            self.wire
                .put(PgWireBackendMessage::ParameterDescription(described))?;
            let columns = self.columns_of(&prepared, None).await?;
            return self.put_description(columns.as_deref(), &[]);
        }
        // A cursor is a portal too.
        if let Some(rows) = self
            .cursors
            .get(&name)
            .filter(|_| !self.portals.contains_key(&name))
        {
            let columns = rows.columns.clone();
            return self.put_description(Some(&columns), &[]);
        }
        let (portal, bytes) = self.portals.take(&name).ok_or_else(|| no_portal(&name))?;
        let columns = match &portal.answer {
            Answer::Rows(rows, _) => Some(rows.columns.clone()),
            _ => {
                self.columns_of(&portal.prepared, Some(&portal.bound))
                    .await?
            }
        };
        self.put_description(columns.as_deref(), &portal.forms)?;
        self.portals.insert(name, portal, bytes);
        Ok(())
    }

    fn put_description(&mut self, columns: Option<&[Column]>, forms: &[i16]) -> Result<(), End> {
        Ok(self.wire.put(match columns {
            Some(columns) => description(columns, forms),
            None => PgWireBackendMessage::NoData(NoData::new()),
        })?)
    }

    /// The columns of a statement's answer; `None` where it has no rows.
    async fn columns_of(
        &mut self,
        prepared: &Prepared,
        bound: Option<&Bound>,
    ) -> Result<Option<Vec<Column>>, End> {
        let text = |name: &str| Column {
            name: name.to_owned(),
            kind: Kind::Text,
        };
        Ok(match &prepared.command {
            Command::Query if prepared.is_empty || prepared.creates_view() => None,
            Command::Query => {
                let catalogue = self.catalogue_for(&prepared.sql).await?;
                let tables = Arc::clone(&self.tables);
                let (sql, types) = (prepared.sql.clone(), prepared.types());
                let bound = bound.cloned();
                let work = self.shared.on_engine(async move {
                    let catalogue = catalogue.as_ref();
                    let Some(bound) = bound else {
                        return Ok(question::describe(&tables, catalogue, &sql, &types).await?);
                    };
                    let planned = question::plan(&tables, catalogue, &sql, bound).await?;
                    Ok(match planned {
                        question::Planned::Question(question) => question.columns,
                        question::Planned::ViewCreated => Vec::new(),
                    })
                });
                let limit = self.limit();
                Some(self.bounds.within(limit, work).await?)
            }
            Command::Show(name) => Some(vec![text(name)]),
            Command::ShowAll => Some(["name", "setting", "description"].map(text).to_vec()),
            Command::Fetch {
                name,
                is_move: false,
                ..
            } => Some(self.cursor_columns(name)?),
            _ => None,
        })
    }

    /// Sends the answer of a portal, or as many of its rows as the client wants.
    pub(super) async fn execute(&mut self, execute: &Execute) -> Result<(), End> {
        let name = execute.name.clone().unwrap_or_default();
        let (mut portal, bytes) = self.portals.take(&name).ok_or_else(|| no_portal(&name))?;
        let prepared = Arc::clone(&portal.prepared);
        self.ensure_not_failed(&prepared.command)?;
        if prepared.is_empty {
            let empty = EmptyQueryResponse::new();
            self.wire
                .put(PgWireBackendMessage::EmptyQueryResponse(empty))?;
            return Ok(());
        }
        if let Command::Fetch {
            name,
            count,
            is_move,
        } = &prepared.command
        {
            return self.fetch(name, *count, *is_move, &portal.forms).await;
        }
        if matches!(portal.answer, Answer::NotBegun) {
            let bound = portal.bound.clone();
            match self.carry_out(&prepared, bound).await? {
                Some((rows, tag)) => {
                    portal.answer =
                        Answer::Rows(Box::new(rows.in_forms(portal.forms.clone())), tag);
                }
                None => {
                    portal.answer = Answer::Ended;
                    self.portals.insert(name, portal, bytes);
                    return Ok(());
                }
            }
        }
        let Answer::Rows(rows, tag) = &mut portal.answer else {
            return self.complete("SELECT 0".to_owned());
        };
        let most = usize::try_from(execute.max_rows)
            .ok()
            .filter(|most| *most > 0);
        let limit = self.limit();
        let sent = rows.send(&mut self.wire, most);
        let sent = self.bounds.within(limit, sent).await?;
        let tag = tagged(tag, sent.rows);
        match sent.is_end {
            true => {
                portal.answer = Answer::Ended;
                self.complete(tag)?;
            }
            false => {
                let suspended = PortalSuspended::new();
                self.wire
                    .put(PgWireBackendMessage::PortalSuspended(suspended))?;
            }
        }
        self.portals.insert(name, portal, bytes);
        Ok(())
    }

    /// Forgets a statement or a portal; one that is not there is forgotten already.
    pub(super) fn close(&mut self, close: &Close) -> Result<(), End> {
        let name = close.name.clone().unwrap_or_default();
        match close.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                self.statements.remove(&name);
            }
            _ => {
                self.portals.remove(&name);
                self.cursors.remove(&name);
            }
        }
        let complete = CloseComplete::new();
        Ok(self
            .wire
            .put(PgWireBackendMessage::CloseComplete(complete))?)
    }
}

fn no_portal(name: &str) -> Refusal {
    Refusal::new("34000", format!("portal \"{name}\" does not exist"))
}
