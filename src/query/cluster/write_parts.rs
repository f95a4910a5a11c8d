//! A plan that workers write instead of sending its rows: each of its partitions is a section of an answer, which a worker
//! puts as parts where the answer belongs. Only reports of the parts come back.
//!
//! What a part is, and where it belongs, the room of files says, which stands below this one: an order for it is sent along
//! and is not read here, and neither are its reports.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{AsArray, RecordBatch, StringArray, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as EngineResult;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;
use prost::Message;

use crate::error::{Class, Error, Result};

/// What workers are to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOrder {
    /// What the room of files makes of the rows, in its own words. It has no secret.
    pub order: Arc<[u8]>,
    /// A section is not worth its parts below this many bytes of text.
    pub least_text: u64,
}

/// A section that a worker begins to write.
pub struct Section<'a> {
    /// What is made of its rows.
    pub order: &'a [u8],
    /// Differs between answers, and between tries at one.
    pub generation: u64,
    /// Its place among the sections of the answer.
    pub number: usize,
    /// How many sections share the memory of one answer.
    pub at_a_time: usize,
    /// What it holds in memory is reserved here.
    pub pool: &'a Arc<dyn MemoryPool>,
}

/// Writes sections in a worker.
#[async_trait]
pub trait WriteSections: fmt::Debug + Send + Sync {
    /// Begins a section.
    ///
    /// # Errors
    /// Those of the place where the parts belong.
    async fn begin(&self, section: Section<'_>) -> Result<Box<dyn SectionWriter>>;
}

/// A section on its way to parts.
#[async_trait]
pub trait SectionWriter: Send {
    /// Adds rows, in their order. Reports of the parts that were put by that.
    ///
    /// # Errors
    /// Those of files and of putting them.
    async fn write(&mut self, rows: RecordBatch) -> Result<Vec<String>>;

    /// Puts what is left. Reports of the parts that were put by that.
    ///
    /// # Errors
    /// Those of files and of putting them.
    async fn finish(self: Box<Self>) -> Result<Vec<String>>;
}

#[derive(Clone, PartialEq, Message)]
struct WriteMessage {
    #[prost(bytes = "vec", tag = "1")]
    order: Vec<u8>,
    #[prost(fixed64, tag = "2")]
    generation: u64,
    /// The number of the first section.
    #[prost(uint32, tag = "3")]
    first: u32,
}

/// Writes the rows of each input as a section. A partition of it has a row for each part that it has put, and one behind
/// them.
#[derive(Debug)]
pub(super) struct WriteParts {
    message: WriteMessage,
    /// A plan of one partition for each section.
    sections: Vec<Arc<dyn ExecutionPlan>>,
    /// What writes; none in the process that only plans.
    writer: Option<Arc<dyn WriteSections>>,
    properties: Arc<PlanProperties>,
}

impl WriteParts {
    /// A plan for workers. `first` is the number of the first of its sections.
    pub(super) fn new(
        order: &WriteOrder,
        generation: u64,
        first: usize,
        sections: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Self {
        let message = WriteMessage {
            order: order.order.to_vec(),
            generation,
            first: first as u32,
        };
        Self::of(message, sections, None)
    }

    fn of(
        message: WriteMessage,
        sections: Vec<Arc<dyn ExecutionPlan>>,
        writer: Option<Arc<dyn WriteSections>>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(reports_schema()),
            Partitioning::UnknownPartitioning(sections.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            message,
            sections,
            writer,
            properties: Arc::new(properties),
        }
    }

    /// The plan as a message, without its inputs.
    pub(super) fn encode(&self) -> Vec<u8> {
        self.message.encode_to_vec()
    }

    /// The plan of a message over its inputs; `None` for what [`encode`](Self::encode) does not make.
    pub(super) fn decode(
        message: &[u8],
        sections: &[Arc<dyn ExecutionPlan>],
        writer: &Arc<dyn WriteSections>,
    ) -> Option<Self> {
        let message = WriteMessage::decode(message).ok()?;
        Some(Self::of(
            message,
            sections.to_vec(),
            Some(Arc::clone(writer)),
        ))
    }
}

impl DisplayAs for WriteParts {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.message.first as usize + self.sections.len();
        write!(f, "WriteParts: sections={}..{last}", self.message.first)
    }
}

impl ExecutionPlan for WriteParts {
    fn name(&self) -> &'static str {
        "WriteParts"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.sections.iter().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        sections: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let (message, writer) = (self.message.clone(), self.writer.clone());
        Ok(Arc::new(Self::of(message, sections, writer)))
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.sections.len()]
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> EngineResult<SendableRecordBatchStream> {
        let unexpected = |what: &str| Error::new(Class::Unexpected, what);
        let section = self.sections.get(partition);
        let section =
            section.ok_or_else(|| unexpected("a section that is not there is asked for"))?;
        let writer = self.writer.clone();
        let writer = writer.ok_or_else(|| unexpected("only workers write sections"))?;
        let mut rows = section.execute(0, Arc::clone(&context))?;
        let message = self.message.clone();
        let number = message.first as usize + partition;
        let at_a_time = self.sections.len();
        // In a task of its own, so that the sections of a worker are written at the same time, in whichever order their
        // reports are read.
        let mut reports = RecordBatchReceiverStreamBuilder::new(reports_schema(), 1);
        let sender = reports.tx();
        reports.spawn(async move {
            let section = Section {
                order: &message.order,
                generation: message.generation,
                number,
                at_a_time,
                pool: context.memory_pool(),
            };
            let mut writer = writer.begin(section).await?;
            while let Some(batch) = rows.try_next().await? {
                let put = writer.write(batch).await?;
                if !put.is_empty() && sender.send(report(number, put, false)).await.is_err() {
                    return Ok(());
                }
            }
            let put = writer.finish().await?;
            let _ = sender.send(report(number, put, true)).await;
            Ok(())
        });
        Ok(reports.build())
    }
}

/// The columns of reports. A report that is NULL says that the section has no further part.
fn reports_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("section", DataType::UInt32, false),
        Field::new("report", DataType::Utf8, true),
    ]))
}

fn report(section: usize, parts: Vec<String>, is_last: bool) -> EngineResult<RecordBatch> {
    let end = is_last.then_some(None);
    let reports: Vec<Option<String>> = parts.into_iter().map(Some).chain(end).collect();
    let sections = UInt32Array::from(vec![section as u32; reports.len()]);
    let reports = StringArray::from(reports);
    let columns = vec![Arc::new(sections) as _, Arc::new(reports) as _];
    Ok(RecordBatch::try_new(reports_schema(), columns)?)
}

/// The reports of an answer's sections, as they come.
#[derive(Debug)]
pub(super) struct Reports(Vec<SectionReports>);

#[derive(Debug, Clone, Default)]
struct SectionReports {
    parts: Vec<String>,
    is_whole: bool,
}

impl Reports {
    /// None has come yet.
    pub(super) fn of(sections: usize) -> Self {
        Self(vec![SectionReports::default(); sections])
    }

    /// Adds reports. Those of a section come in the order of its parts, those of several in any.
    ///
    /// # Errors
    /// `Unexpected` for one of no section, or of one that has ended.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let sections = batch.column(0).as_primitive::<UInt32Type>();
        let reports = batch.column(1).as_string::<i32>();
        for (section, report) in sections.values().iter().zip(reports) {
            let of_section = self.0.get_mut(*section as usize);
            let of_section = of_section.filter(|section| !section.is_whole);
            let of_section = of_section.ok_or_else(|| wrong("came that belongs to none"))?;
            match report {
                Some(report) => of_section.parts.push(report.to_owned()),
                None => of_section.is_whole = true,
            }
        }
        Ok(())
    }

    /// All reports, in the order of the rows.
    ///
    /// # Errors
    /// `Unexpected` where those of a section are not whole: an answer would lack its rows.
    pub(super) fn in_order(self) -> Result<Vec<String>> {
        match self.0.iter().all(|section| section.is_whole) {
            true => Ok(self
                .0
                .into_iter()
                .flat_map(|section| section.parts)
                .collect()),
            false => Err(wrong("lacks")),
        }
    }
}

fn wrong(what: &str) -> Error {
    let what = format!("a report of the parts that workers have written {what}");
    Error::new(Class::Unexpected, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(section: usize, parts: &[&str], is_last: bool) -> RecordBatch {
        let parts = parts.iter().map(|part| (*part).to_owned());
        report(section, parts.collect(), is_last).unwrap()
    }

    #[test]
    fn reports_are_in_the_order_of_the_rows() {
        let mut reports = Reports::of(3);
        for (section, parts, is_last) in [
            (2, &["c"][..], false),
            (0, &["a0", "a1"], false),
            (1, &[], true),
            (0, &["a2"], true),
            (2, &[], true),
        ] {
            reports.add(&batch(section, parts, is_last)).unwrap();
        }
        assert_eq!(reports.in_order().unwrap(), ["a0", "a1", "a2", "c"]);
    }

    #[test]
    fn an_answer_that_lacks_the_reports_of_a_section_is_none() {
        let mut reports = Reports::of(2);
        reports.add(&batch(0, &["a"], true)).unwrap();
        reports.add(&batch(1, &["b"], false)).unwrap();
        for section in [0, 2] {
            let error = reports.add(&batch(section, &["c"], false)).unwrap_err();
            assert_eq!(error.class(), Class::Unexpected);
        }
        assert_eq!(reports.in_order().unwrap_err().class(), Class::Unexpected);
    }
}
