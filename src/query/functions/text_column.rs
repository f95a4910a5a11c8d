//! Builds a text column from parts of messages without copying them.

use arrow::array::{
    Array, BooleanBufferBuilder, ByteView, MAX_INLINE_VIEW_LEN, StringViewArray, make_view,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::error::ArrowError;
use std::borrow::Cow;

/// A column whose texts are parts of their rows' messages. It shares the messages' buffers.
pub(super) struct TextColumn<'a> {
    messages: &'a StringViewArray,
    views: Vec<u128>,
    validity: BooleanBufferBuilder,
    /// Whether a view points into a buffer of the messages.
    shares: bool,
    /// Texts that had to be decoded and so are in no message; the column's last buffer.
    decoded: Vec<u8>,
}

impl<'a> TextColumn<'a> {
    /// A row for each message, NULL until it is set.
    pub(super) fn new(messages: &'a StringViewArray) -> Self {
        TextColumn {
            messages,
            views: Vec::new(),
            validity: BooleanBufferBuilder::new(0),
            shares: false,
            decoded: Vec::new(),
        }
    }

    /// Sets a row to a text. A part of the row's message is not copied.
    pub(super) fn set(&mut self, row: usize, text: Cow<'a, str>) {
        if self.views.is_empty() {
            // A column without a value in the whole batch costs nothing.
            self.views = vec![0; self.messages.len()];
            self.validity.append_n(self.messages.len(), false);
        }
        let view = match text {
            short if short.len() <= MAX_INLINE_VIEW_LEN as usize => {
                Some(make_view(short.as_bytes(), 0, 0))
            }
            Cow::Borrowed(text) => match self.place_of_part(row, text) {
                Some(place) => self.view_of_part(row, place, text),
                None => self.view_of_decoded(text),
            },
            Cow::Owned(text) => self.view_of_decoded(&text),
        };
        if let Some(view) = view {
            self.views[row] = view;
            self.validity.set_bit(row, true);
        }
    }

    /// Where a text begins in the row's message; `None` if it is no part of it.
    fn place_of_part(&self, row: usize, text: &str) -> Option<usize> {
        let message = self.messages.value(row);
        let place = text.as_ptr().addr().checked_sub(message.as_ptr().addr())?;
        (place + text.len() <= message.len()).then_some(place)
    }

    /// `None` if the offset does not fit a view: the buffer is larger than 4 GiB.
    fn view_of_part(&mut self, row: usize, within: usize, text: &str) -> Option<u128> {
        let whole = ByteView::from(self.messages.views()[row]);
        let offset = whole.offset.checked_add(u32::try_from(within).ok()?)?;
        self.shares = true;
        Some(make_view(text.as_bytes(), whole.buffer_index, offset))
    }

    fn view_of_decoded(&mut self, text: &str) -> Option<u128> {
        let block = u32::try_from(self.messages.data_buffers().len()).ok()?;
        let offset = u32::try_from(self.decoded.len()).ok()?;
        self.decoded.extend_from_slice(text.as_bytes());
        Some(make_view(text.as_bytes(), block, offset))
    }

    pub(super) fn finish(mut self) -> Result<StringViewArray, ArrowError> {
        if self.views.is_empty() {
            return Ok(StringViewArray::new_null(self.messages.len()));
        }
        let mut buffers: Vec<Buffer> = Vec::new();
        if self.shares || !self.decoded.is_empty() {
            buffers.extend_from_slice(self.messages.data_buffers());
        }
        if !self.decoded.is_empty() {
            buffers.push(self.decoded.into());
        }
        let nulls = NullBuffer::new(self.validity.finish());
        StringViewArray::try_new(self.views.into(), buffers, Some(nulls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_messages_share_their_buffers() {
        let messages = StringViewArray::from_iter_values([
            "short",
            "id=0123456789abcdef, and more",
            "decoded",
            "id=fedcba9876543210",
        ])
        .slice(1, 3);
        let mut column = TextColumn::new(&messages);
        column.set(0, Cow::Borrowed(&messages.value(0)[3..19]));
        column.set(1, Cow::Owned("something longer than a view".to_owned()));
        column.set(2, Cow::Borrowed(&messages.value(2)[..2]));
        let column = column.finish().unwrap();
        let texts: Vec<_> = column.iter().map(Option::unwrap).collect();
        assert_eq!(
            texts,
            ["0123456789abcdef", "something longer than a view", "id"]
        );
        assert_eq!(
            column.data_buffers()[0].as_ptr(),
            messages.data_buffers()[0].as_ptr()
        );
    }

    #[test]
    fn rows_that_are_not_set_are_null() {
        let messages =
            StringViewArray::from_iter_values(["one message", "and another, longer message"]);
        let mut column = TextColumn::new(&messages);
        column.set(1, Cow::Borrowed(&messages.value(1)[4..11]));
        let column = column.finish().unwrap();
        assert_eq!(column.iter().collect::<Vec<_>>(), [None, Some("another")]);
        assert!(
            column.data_buffers().is_empty(),
            "short texts keep no message alive"
        );
        assert_eq!(TextColumn::new(&messages).finish().unwrap().null_count(), 2);
    }
}
