//! Exports of earlier runs, taken as they are kept: nothing is exported.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::error::{Class, Error, Result};
use crate::export::existing::ExistingExport;
use crate::export::staging::{self, Manifest};
use crate::export::subscription::SubscriptionSource;
use crate::export::{ExportRequest, Exported, LogExporter};
use crate::job::{JobSource, Source};
use crate::progress::Progress;
use crate::receipt::Receipt;
use crate::store::Store;

/// The kept exports of a job's windows.
pub(in crate::run) struct KeptExports {
    source: JobSource,
    store: Store,
    /// The receipts of windows, by their ids.
    receipts: HashMap<String, Receipt>,
}

impl KeptExports {
    /// Those in the staging location of a source; with a receipt, those that it lists.
    pub(in crate::run) fn new(
        source: &JobSource,
        store: Store,
        receipts: HashMap<String, Receipt>,
    ) -> Self {
        Self {
            source: source.clone(),
            store,
            receipts,
        }
    }

    /// Whether an export has the events that the job reads.
    fn is_of_job(&self, manifest: &Manifest) -> bool {
        match &self.source.logs {
            Source::CloudWatch(source) => {
                manifest.log_stream_prefix == source.log_stream_prefix
                    && source
                        .log_groups
                        .iter()
                        .any(|pattern| pattern.matches(&manifest.log_group))
            }
            Source::Directory { .. } | Source::Exported { .. } | Source::Subscription(_) => true,
        }
    }
}

#[async_trait]
impl LogExporter for KeptExports {
    async fn groups(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &dyn Progress,
    ) -> Result<Exported> {
        if let Source::Exported { log_group, .. } = &self.source.logs {
            let existing = ExistingExport::new(self.store.clone(), log_group.clone());
            return existing.export(request, progress).await;
        }
        if let Source::Subscription(settings) = &self.source.logs {
            let source = SubscriptionSource::new(self.store.clone(), settings.clone());
            return source.export(request, progress).await;
        }
        let id = request.window.id();
        let gone = || {
            Error::new(
                Class::Source,
                format!(
                    "window {id} has no kept export, so that no archive can be made of it: `logtally run` with the window and --force exports again what the source still has"
                ),
            )
        };
        // A receipt that names this source and no export of it says that it had none: all its log groups are younger.
        let receipt = self.receipts.get(&id);
        let is_named = |receipt: &Receipt| {
            let mut sources = receipt.sources.iter();
            sources.any(|source| Some(source.number) == self.source.number)
        };
        let is_said = receipt.is_some_and(is_named);
        let groups = match receipt {
            // Another source may have log groups of the same names in the same location.
            _ if self.source.number.is_some() && !is_said => {
                return Err(Error::new(
                    Class::Source,
                    format!(
                        "window {id} has no receipt of these sources, which says whose its exports are, so that no archive can be made of it: `logtally run` with the window makes one"
                    ),
                ));
            }
            Some(receipt) => {
                let own = || {
                    let exports = receipt.exports.iter();
                    exports.filter(|export| export.source == self.source.number)
                };
                let is_listed = |prefix: &str| own().any(|of| of.is_at(prefix));
                let found = staging::exports_at(&self.store, request.keys, &id, is_listed).await?;
                if found.len() < own().count() {
                    return Err(gone());
                }
                found
            }
            None => {
                let is_of_job = |manifest: &Manifest| self.is_of_job(manifest);
                let found = staging::newest_exports(&self.store, request, is_of_job).await?;
                found.into_values().collect()
            }
        };
        if groups.is_empty() && !is_said {
            return Err(gone());
        }
        Ok(Exported {
            groups,
            ..Exported::default()
        })
    }
}
