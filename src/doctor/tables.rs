//! The tables of the Glue catalogue against the answers.

use crate::aws::Account;
use crate::aws::policy::GlueTables;
use crate::error::Result;
use crate::run;

use super::examination::Examination;
use super::finding::{Area, Finding};

impl Examination<'_> {
    /// The tables that `ddl --apply` would make in a database.
    pub(super) async fn glue_tables(&self, database: &str) -> Result<GlueTables> {
        let tables = run::tables(self.environment, self.job, database, None).await?;
        let region = self
            .environment
            .stores
            .aws()
            .region(Account::Output)
            .await?;
        let account = match &self.of_output {
            Some(caller) => caller.account.clone(),
            None => self.account_of_logs(),
        };
        Ok(GlueTables {
            region,
            account,
            database: database.to_owned(),
            tables: tables.into_iter().map(|table| table.name).collect(),
        })
    }

    /// Compares the tables of a database with the answers.
    pub(super) async fn tables(&mut self, database: &str) {
        match self.glue_tables(database).await {
            Ok(tables) => self.tables = Some(tables),
            // The queries are reported already.
            Err(error) => {
                return self.add(Finding::of_error(Area::Tables, database, &error));
            }
        }
        self.compare_tables(database).await;
    }

    #[cfg(not(feature = "glue"))]
    #[expect(clippy::unused_async, reason = "with Glue it waits for answers")]
    async fn compare_tables(&mut self, database: &str) {
        use super::finding::Outcome;

        let message =
            "not checked, because this build of logtally was made without the feature \"glue\"";
        self.add(Finding::new(
            Area::Tables,
            database,
            Outcome::NotChecked,
            message,
        ));
    }

    #[cfg(feature = "glue")]
    async fn compare_tables(&mut self, database: &str) {
        use super::examination::Permissions;
        use super::finding::Outcome;
        use crate::aws::glue::Catalogue;
        use crate::error::Class;

        let tables = match run::tables(self.environment, self.job, database, None).await {
            Ok(tables) => tables,
            Err(error) => return self.add(Finding::of_error(Area::Tables, database, &error)),
        };
        let catalogue = match Catalogue::expected(self.environment.stores.aws(), database).await {
            Ok(catalogue) => catalogue,
            Err(error) => return self.add(Finding::of_error(Area::Tables, database, &error)),
        };
        let mut permissions = Permissions::of(Area::Tables, database, Class::Output, None);
        let exists = catalogue.try_exists().await;
        let Some(exists) = permissions.note(self, "glue:GetDatabase", exists) else {
            return;
        };
        if exists {
            let created = catalogue.try_create_again().await;
            permissions.note(self, "glue:CreateDatabase", created);
        } else {
            let message = "the database does not exist: `ddl --apply` makes it. Whether it may is not checked, because only making it shows that (glue:CreateDatabase)";
            self.add(Finding::new(Area::Tables, database, Outcome::Note, message));
        }
        for table in &tables {
            let found = catalogue.try_find(&table.name).await;
            let Some(found) = permissions.note(self, "glue:GetTable", found) else {
                break;
            };
            let name = format!("{database}.{}", table.name);
            let (outcome, message) = match &found {
                None => (
                    Outcome::Note,
                    "the table does not exist: `ddl --apply` makes it. Whether it may is not checked, because only making it shows that (glue:CreateTable)".to_owned(),
                ),
                Some(there) => match run::would_change(table, there) {
                    Ok(false) => (Outcome::Ok, "the table fits the answers".to_owned()),
                    Ok(true) => (
                        Outcome::Warning,
                        "the table lacks something of the answers: `ddl --apply` adds it"
                            .to_owned(),
                    ),
                    Err(error) => {
                        self.add(Finding::of_error(Area::Tables, &name, &error));
                        continue;
                    }
                },
            };
            self.add(Finding::new(Area::Tables, &name, outcome, message));
            match found {
                None => {
                    let updated = catalogue.try_update_missing(&table.name).await;
                    permissions.note(self, "glue:UpdateTable", updated);
                }
                Some(_) => {
                    let created = catalogue.try_create_table_again(&table.name).await;
                    permissions.note(self, "glue:CreateTable", created);
                }
            }
        }
        permissions.finish(self);
    }
}
