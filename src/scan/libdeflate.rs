//! A safe interface to libdeflate's gzip decompressor. The `libdeflater` crate does not return how much input a member
//! took, without which an object of several members can't be read.

use std::ptr::{self, NonNull};

use libdeflate_sys::{
    libdeflate_alloc_decompressor, libdeflate_decompressor, libdeflate_free_decompressor,
    libdeflate_gzip_decompress_ex,
    libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE as INSUFFICIENT_SPACE,
    libdeflate_result_LIBDEFLATE_SUCCESS as SUCCESS,
};

/// How inflating a member ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// The member's text was appended; it took this many bytes of the input.
    Whole(usize),
    /// The text has no room for the whole member, and is as it was.
    NoRoom,
    /// The input does not begin with a whole, undamaged member; the text is as it was.
    Damaged,
}

/// A decompressor; it keeps its tables from one member to the next.
pub struct Decompressor(NonNull<libdeflate_decompressor>);

// SAFETY: the decompressor is plain memory with no ties to the thread that allocated it.
unsafe impl Send for Decompressor {}

impl Decompressor {
    /// `None` where there is no memory for it.
    pub fn new() -> Option<Self> {
        // SAFETY: the function has no preconditions; a null pointer means that there is no memory.
        NonNull::new(unsafe { libdeflate_alloc_decompressor() }).map(Self)
    }

    /// Inflates the gzip member at the start of `input` into the spare capacity of `text`.
    pub fn member(&mut self, input: &[u8], text: &mut Vec<u8>) -> Member {
        let mut taken = 0;
        let mut made = 0;
        let room = text.spare_capacity_mut();
        // SAFETY: both pointers are valid for the lengths given with them, and libdeflate never reads what it has not
        // written. It fills in `taken` and `made` on success.
        let result = unsafe {
            libdeflate_gzip_decompress_ex(
                self.0.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                room.as_mut_ptr().cast(),
                room.len(),
                ptr::from_mut(&mut taken),
                ptr::from_mut(&mut made),
            )
        };
        match result {
            SUCCESS => {
                // SAFETY: libdeflate wrote `made` bytes of the spare capacity.
                unsafe { text.set_len(text.len() + made) };
                Member::Whole(taken)
            }
            INSUFFICIENT_SPACE => Member::NoRoom,
            _ => Member::Damaged,
        }
    }
}

impl Drop for Decompressor {
    fn drop(&mut self) {
        // SAFETY: the pointer is from libdeflate_alloc_decompressor and is freed once.
        unsafe { libdeflate_free_decompressor(self.0.as_ptr()) };
    }
}
