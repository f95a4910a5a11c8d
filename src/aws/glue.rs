//! The Glue catalogue, where Athena's tables are defined. The client needs the feature `glue`.

use std::collections::BTreeMap;

/// A table of the catalogue: the part that this program decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueTable {
    /// The name.
    pub name: String,
    /// A description.
    pub comment: Option<String>,
    /// Where the files are.
    pub location: String,
    /// Hive's class that reads the files.
    pub input_format: String,
    /// Hive's class that would write them.
    pub output_format: String,
    /// Hive's class that makes rows from them.
    pub serde: String,
    /// The columns of the files.
    pub columns: Vec<CatalogueColumn>,
    /// The columns of the folders.
    pub partition_keys: Vec<CatalogueColumn>,
    /// Properties, such as those of partition projection.
    pub properties: BTreeMap<String, String>,
}

/// A column of such a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueColumn {
    /// The name.
    pub name: String,
    /// The type, as Hive names it.
    pub data_type: String,
    /// A description.
    pub comment: Option<String>,
}

#[cfg(feature = "glue")]
pub use client::{Catalogue, ExistingTable};

#[cfg(feature = "glue")]
mod client {
    use std::collections::BTreeMap;
    use std::error::Error as StdError;

    use aws_sdk_glue::Client;
    use aws_sdk_glue::error::{BuildError, ProvideErrorMetadata, SdkError};
    use aws_sdk_glue::types::{
        Column, DatabaseInput, SerDeInfo, StorageDescriptor, Table, TableInput,
    };

    use super::{CatalogueColumn, CatalogueTable};
    use crate::aws::tried::Tried;
    use crate::aws::{Account, Aws, root_cause};
    use crate::error::{Class, Error, Result};

    /// One database of the catalogue of the account that holds the answers.
    #[derive(Debug)]
    pub struct Catalogue {
        client: Client,
        database: String,
    }

    /// A table of the catalogue.
    #[derive(Debug)]
    pub struct ExistingTable {
        /// What this program decides.
        pub table: CatalogueTable,
        /// `EXTERNAL_TABLE`, `VIRTUAL_VIEW` or another kind.
        pub kind: Option<String>,
        whole: Table,
    }

    impl Catalogue {
        /// Opens the database of this name, and creates it where it does not exist.
        pub async fn open(aws: &Aws, database: &str) -> Result<Self> {
            let client = Client::new(aws.config(Account::Output).await?);
            let found = client.get_database().name(database).send().await;
            match found.map_err(SdkError::into_service_error) {
                Ok(_) => {}
                Err(error) if error.is_entity_not_found_exception() => {
                    let input = DatabaseInput::builder().name(database).build();
                    client
                        .create_database()
                        .database_input(input.map_err(|error| incomplete(database, error))?)
                        .send()
                        .await
                        .map_err(|error| {
                            refused("make the database", database, error.into_service_error())
                        })?;
                }
                Err(error) => return Err(refused("look for the database", database, error)),
            }
            Ok(Self {
                client,
                database: database.to_owned(),
            })
        }

        /// The table of this name; `None` where it does not exist.
        pub async fn find(&self, name: &str) -> Result<Option<ExistingTable>> {
            let request = self.client.get_table().database_name(&self.database);
            match request.name(name).send().await {
                Ok(answer) => Ok(answer.table.map(existing)),
                Err(error) => match error.into_service_error() {
                    error if error.is_entity_not_found_exception() => Ok(None),
                    error => Err(refused("look for the table", &self.full_name(name), error)),
                },
            }
        }

        /// Creates a table.
        pub async fn create(&self, table: &CatalogueTable) -> Result<()> {
            let name = self.full_name(&table.name);
            let input = input(table, None).map_err(|error| incomplete(&name, error))?;
            let request = self.client.create_table().database_name(&self.database);
            request
                .table_input(input)
                .send()
                .await
                .map_err(|error| refused("make the table", &name, error.into_service_error()))?;
            Ok(())
        }

        /// Changes a table, if it has not changed since it was found.
        pub async fn update(&self, found: &ExistingTable, table: &CatalogueTable) -> Result<()> {
            let name = self.full_name(&table.name);
            let input =
                input(table, Some(&found.whole)).map_err(|error| incomplete(&name, error))?;
            let request = self.client.update_table().database_name(&self.database);
            request
                .set_version_id(found.whole.version_id.clone())
                .table_input(input)
                .send()
                .await
                .map_err(|error| refused("change the table", &name, error.into_service_error()))?;
            Ok(())
        }

        /// The database of this name, which need not exist.
        pub async fn expected(aws: &Aws, database: &str) -> Result<Self> {
            Ok(Self {
                client: Client::new(aws.config(Account::Output).await?),
                database: database.to_owned(),
            })
        }

        /// Whether the database exists.
        pub async fn try_exists(&self) -> Tried<bool> {
            let found = self.client.get_database().name(&self.database).send();
            match found.await {
                Ok(_) => Tried::Allowed(true),
                Err(error) if is(&error, "EntityNotFoundException") => Tried::Allowed(false),
                Err(error) => tried(error),
            }
        }

        /// Creates the database, which exists: the answer says whether that is allowed.
        pub async fn try_create_again(&self) -> Tried<()> {
            let input = DatabaseInput::builder().name(&self.database).build().ok();
            let request = self.client.create_database().set_database_input(input);
            match request.send().await {
                Ok(_) => Tried::Allowed(()),
                Err(error) if is(&error, "AlreadyExistsException") => Tried::Allowed(()),
                Err(error) => tried(error),
            }
        }

        /// The table of this name; `None` where it does not exist.
        pub async fn try_find(&self, name: &str) -> Tried<Option<ExistingTable>> {
            let request = self.client.get_table().database_name(&self.database);
            match request.name(name).send().await {
                Ok(answer) => Tried::Allowed(answer.table.map(existing)),
                Err(error) if is(&error, "EntityNotFoundException") => Tried::Allowed(None),
                Err(error) => tried(error),
            }
        }

        /// Creates a table that exists: the answer says whether that is allowed.
        pub async fn try_create_table_again(&self, name: &str) -> Tried<()> {
            let request = self.client.create_table().database_name(&self.database);
            let input = TableInput::builder().name(name).build().ok();
            match request.set_table_input(input).send().await {
                Ok(_) => Tried::Allowed(()),
                Err(error) if is(&error, "AlreadyExistsException") => Tried::Allowed(()),
                Err(error) => tried(error),
            }
        }

        /// Changes a table that does not exist: the answer says whether that is allowed.
        pub async fn try_update_missing(&self, name: &str) -> Tried<()> {
            let request = self.client.update_table().database_name(&self.database);
            let input = TableInput::builder().name(name).build().ok();
            match request.set_table_input(input).send().await {
                Ok(_) => Tried::Allowed(()),
                Err(error) if is(&error, "EntityNotFoundException") => Tried::Allowed(()),
                Err(error) => tried(error),
            }
        }

        fn full_name(&self, table: &str) -> String {
            format!("{}.{table}", self.database)
        }
    }

    fn is<E: ProvideErrorMetadata>(error: &SdkError<E>, code: &str) -> bool {
        let service = error.as_service_error();
        service.and_then(ProvideErrorMetadata::code) == Some(code)
    }

    /// How a request ended that failed. Glue answers a refusal with 400 and its code, what stands before it with 403.
    fn tried<T, E>(error: SdkError<E>) -> Tried<T>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let is_refused = is(&error, "AccessDeniedException") || status == Some(403);
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        let message = match meta.map(|meta| (meta.code(), meta.message())) {
            Some((Some(code), Some(message))) => format!("{message} ({code})"),
            _ if is_refused => "HTTP 403".to_owned(),
            _ => root_cause(&error),
        };
        match is_refused {
            true => Tried::Refused(message),
            false => Tried::Failed(message),
        }
    }

    fn existing(whole: Table) -> ExistingTable {
        let storage = whole.storage_descriptor.as_ref();
        let columns = |columns: &[Column]| columns.iter().map(catalogue_column).collect();
        let text = |of: fn(&StorageDescriptor) -> Option<&str>| {
            storage.and_then(of).unwrap_or_default().to_owned()
        };
        ExistingTable {
            table: CatalogueTable {
                name: whole.name.clone(),
                comment: whole.description.clone(),
                location: text(StorageDescriptor::location),
                input_format: text(StorageDescriptor::input_format),
                output_format: text(StorageDescriptor::output_format),
                serde: text(|storage| storage.serde_info()?.serialization_library()),
                columns: columns(storage.map_or(&[], |storage| storage.columns())),
                partition_keys: columns(whole.partition_keys()),
                properties: BTreeMap::from_iter(whole.parameters.clone().unwrap_or_default()),
            },
            kind: whole.table_type.clone(),
            whole,
        }
    }

    fn catalogue_column(column: &Column) -> CatalogueColumn {
        CatalogueColumn {
            name: column.name.clone(),
            data_type: column.r#type.clone().unwrap_or_default(),
            comment: column.comment.clone(),
        }
    }

    /// The new version of a table, which keeps what this program does not decide.
    fn input(table: &CatalogueTable, before: Option<&Table>) -> Result<TableInput, BuildError> {
        let columns = |columns: &[CatalogueColumn]| -> Result<Vec<Column>, BuildError> {
            let columns = columns.iter().map(|column| {
                Column::builder()
                    .name(&column.name)
                    .r#type(&column.data_type)
                    .set_comment(column.comment.clone())
                    .build()
            });
            columns.collect()
        };
        let before_storage = before.and_then(|before| before.storage_descriptor.clone());
        let mut storage = before_storage.unwrap_or_else(|| {
            let serde = SerDeInfo::builder()
                .serialization_library(&table.serde)
                .parameters("serialization.format", "1");
            StorageDescriptor::builder()
                .input_format(&table.input_format)
                .output_format(&table.output_format)
                .serde_info(serde.build())
                .build()
        });
        storage.columns = Some(columns(&table.columns)?);
        storage.location = Some(table.location.clone());
        TableInput::builder()
            .name(&table.name)
            .set_description(table.comment.clone())
            .set_owner(before.and_then(|before| before.owner.clone()))
            .retention(before.map_or(0, |before| before.retention))
            .table_type("EXTERNAL_TABLE")
            .storage_descriptor(storage)
            .set_partition_keys(Some(columns(&table.partition_keys)?))
            .set_parameters(Some(table.properties.clone().into_iter().collect()))
            .build()
    }

    fn incomplete(name: &str, error: BuildError) -> Error {
        Error::new(Class::Unexpected, format!("can't describe {name} to Glue")).caused_by(error)
    }

    /// The service's message, or why there is none.
    fn refused(
        doing: &str,
        name: &str,
        error: impl ProvideErrorMetadata + StdError + 'static,
    ) -> Error {
        let why = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            _ => root_cause(&error),
        };
        Error::new(
            Class::Output,
            format!("could not {doing} {name} in the Glue catalogue: {why}"),
        )
    }
}
