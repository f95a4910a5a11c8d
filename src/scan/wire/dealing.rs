//! The parts of a scan for several processes. A file is never cut.

use std::sync::Arc;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;

/// How many processes a scan can be divided among: one if its rows have an order, else at most its files.
pub fn most_parts(config: &FileScanConfig) -> usize {
    match config.preserve_order {
        true => 1,
        false => files(config).count().max(1),
    }
}

pub(super) fn files(config: &FileScanConfig) -> impl Iterator<Item = &PartitionedFile> {
    config.file_groups.iter().flat_map(FileGroup::iter)
}

/// What a file costs. An empty object costs a request too.
fn cost(file: &PartitionedFile) -> u64 {
    file.effective_size().max(1)
}

/// Deals the files of a scan out to several processes by size, each file whole. Each part has as many partitions as the
/// scan.
pub fn deal(config: &FileScanConfig, parts: usize) -> Vec<Arc<dyn ExecutionPlan>> {
    let files = files(config).cloned().collect();
    let parts = deal_out(files, parts, config.file_groups.len());
    let part = |groups: Vec<FileGroup>| {
        let mut part = config.clone();
        part.file_groups = groups;
        DataSourceExec::from_data_source(part) as Arc<dyn ExecutionPlan>
    };
    parts.into_iter().map(part).collect()
}

/// Deals files, or ranges of files, out to several parts of as many partitions, the largest first, each to the part and the
/// partition with the fewest bytes.
pub fn deal_out(
    mut files: Vec<PartitionedFile>,
    parts: usize,
    partitions: usize,
) -> Vec<Vec<FileGroup>> {
    files.sort_by_key(|file| std::cmp::Reverse(file.effective_size()));
    let no_files = vec![(0_u64, Vec::new()); partitions.max(1)];
    let mut loads = vec![(0_u64, no_files); parts.max(1)];
    for file in files {
        if let Some((load, groups)) = loads.iter_mut().min_by_key(|(load, _)| *load)
            && let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes)
        {
            *load += cost(&file);
            *bytes += cost(&file);
            group.push(file);
        }
    }
    let groups = |(_, groups): (u64, Vec<(u64, Vec<PartitionedFile>)>)| {
        let groups = groups.into_iter().map(|(_, files)| FileGroup::new(files));
        groups.collect()
    };
    loads.into_iter().map(groups).collect()
}

/// A scan of some of its files.
fn part_of(
    config: &FileScanConfig,
    groups: impl Iterator<Item = Vec<PartitionedFile>>,
) -> Arc<dyn ExecutionPlan> {
    let mut part = config.clone();
    part.file_groups = groups.map(FileGroup::new).collect();
    DataSourceExec::from_data_source(part)
}

/// Cuts scans whose rows come one behind the other, each in one partition, into sections of about the same size: for each
/// section, what it has of each scan. A file is never cut, and a section may have none of a scan: `None`.
pub fn cut(scans: &[&FileScanConfig], sections: usize) -> Vec<Vec<Option<Arc<dyn ExecutionPlan>>>> {
    let all: u64 = scans.iter().copied().flat_map(files).map(cost).sum();
    let mut before = 0;
    let mut cut = vec![vec![Vec::new(); scans.len()]; sections];
    for (place, scan) in scans.iter().enumerate() {
        for file in files(scan) {
            let middle = u128::from(before + cost(file) / 2);
            let section = middle * sections as u128 / u128::from(all);
            before += cost(file);
            cut[section as usize][place].push(file.clone());
        }
    }
    let of_scan = |(scan, files): (&&FileScanConfig, Vec<PartitionedFile>)| {
        (!files.is_empty()).then(|| part_of(scan, std::iter::once(files)))
    };
    let section = |of_scans: Vec<_>| scans.iter().zip(of_scans).map(of_scan).collect();
    cut.into_iter().map(section).collect()
}
