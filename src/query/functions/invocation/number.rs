//! `invocation_number(step, request_id)`, a window function over the lines of a log stream in their order: which of them
//! are of the same invocation.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    DocSection, Documentation, PartitionEvaluator, Signature, Volatility, WindowUDFImpl,
};

use super::line::Step;

/// The window function. Equal times need no order beyond that of the steps: numbers only tell invocations apart.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct InvocationNumber {
    signature: Signature,
}

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| {
    let section = DocSection {
        include: true,
        label: "Messages",
        description: None,
    };
    let answers = "The number of the invocation that a line of a log stream belongs to, from the steps and request ids of the lines before it. The view lambda_invocations is made with it.";
    Documentation::builder(
        section,
        answers,
        "invocation_number(step, request_id) OVER (…)",
    )
    .with_argument("step", "The member step of lambda_event(message)")
    .with_argument("request_id", "The member request_id of the same")
    .build()
});

impl Default for InvocationNumber {
    fn default() -> Self {
        let arguments = vec![DataType::Int32, DataType::Utf8View];
        Self {
            signature: Signature::exact(arguments, Volatility::Immutable),
        }
    }
}

impl WindowUDFImpl for InvocationNumber {
    fn name(&self) -> &str {
        "invocation_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }

    fn partition_evaluator(
        &self,
        _: PartitionEvaluatorArgs<'_>,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::<Numbers>::default())
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int64, true)))
    }
}

impl PartitionEvaluator for Numbers {
    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        let [steps, ids] = values else {
            return exec_err!("invocation_number: expected a step and a request id");
        };
        let (steps, ids) = (steps.as_primitive::<Int32Type>(), ids.as_string_view());
        let row = range.start;
        let id = ids.is_valid(row).then(|| ids.value(row));
        let step = steps
            .is_valid(row)
            .then(|| Step::of(steps.value(row)))
            .flatten();
        Ok(ScalarValue::Int64(
            step.and_then(|step| self.number(step, id)),
        ))
    }

    fn is_causal(&self) -> bool {
        true
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }
}

/// The invocations of a log stream up to a line.
#[derive(Debug, Default)]
struct Numbers {
    next: i64,
    /// Those that have no report yet, by request id.
    open: HashMap<Box<str>, i64>,
    /// The last that started, while it has no report: what a line without a request id is of.
    current: Option<(Box<str>, i64)>,
    /// The last that had its report: Lambda has written of failures behind it.
    reported: Option<(Box<str>, i64)>,
}

impl Numbers {
    /// The number of the invocation that a line is of; `None` if the line has no request id and none is running.
    fn number(&mut self, step: Step, id: Option<&str>) -> Option<i64> {
        let Some(id) = id else {
            return self.current.as_ref().map(|(_, number)| *number);
        };
        match step {
            Step::Start => {
                let number = self.open_new(id);
                self.current = Some((id.into(), number));
                Some(number)
            }
            Step::Raised | Step::Failed => {
                let reported = self.reported.as_ref().filter(|(last, _)| **last == *id);
                let known = self
                    .open
                    .get(id)
                    .copied()
                    .or(reported.map(|(_, number)| *number));
                Some(known.unwrap_or_else(|| self.open_new(id)))
            }
            Step::Report => {
                let number = self.open.remove(id).unwrap_or_else(|| self.new_number());
                self.current.take_if(|(current, _)| **current == *id);
                self.reported = Some((id.into(), number));
                Some(number)
            }
        }
    }

    fn open_new(&mut self, id: &str) -> i64 {
        let number = self.new_number();
        self.open.insert(id.into(), number);
        number
    }

    fn new_number(&mut self) -> i64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Failed, Raised, Report, Start};

    fn numbers(lines: &[(Step, Option<&str>)]) -> Vec<Option<i64>> {
        let mut numbers = Numbers::default();
        lines
            .iter()
            .map(|(step, id)| numbers.number(*step, *id))
            .collect()
    }

    #[test]
    fn a_line_without_an_id_is_of_the_request_that_runs() {
        let lines = [
            (Raised, None),
            (Start, Some("a")),
            (Raised, None),
            (Report, Some("a")),
            (Raised, None),
        ];
        assert_eq!(numbers(&lines), [None, Some(1), Some(1), Some(1), None]);
    }

    #[test]
    fn a_retry_is_an_invocation_of_its_own() {
        let lines = [
            (Start, Some("a")),
            (Report, Some("a")),
            (Failed, Some("a")),
            (Start, Some("a")),
            (Failed, Some("a")),
            (Report, Some("a")),
        ];
        assert_eq!(numbers(&lines), [1, 1, 1, 2, 2, 2].map(Some));
    }

    #[test]
    fn what_the_edges_of_a_window_cut_stays_apart() {
        let lines = [
            (Report, Some("a")),
            (Report, Some("a")),
            (Failed, Some("b")),
            (Report, Some("b")),
            (Start, Some("c")),
        ];
        assert_eq!(numbers(&lines), [1, 2, 3, 3, 4].map(Some));
    }

    #[test]
    fn requests_that_run_at_the_same_time_are_told_apart_by_their_ids() {
        let lines = [
            (Start, Some("a")),
            (Start, Some("b")),
            (Failed, Some("a")),
            (Report, Some("b")),
            (Report, Some("a")),
        ];
        assert_eq!(numbers(&lines), [1, 2, 1, 2, 1].map(Some));
    }
}
