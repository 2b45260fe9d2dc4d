//! Asking for a line of memory before it is needed.
//!
//! Holds the one function, which is the only `unsafe` of the crate's core. Refuses to read what it
//! asks for. Elsewhere than on x86-64 it does nothing.

/// Asks the processor for the line that `table[at]` begins in. Out of range it does nothing.
///
/// A batch over memory that is not in the first-level cache takes a third of the time with it.
#[inline(always)]
pub(crate) fn element<T>(table: &[T], at: usize) {
    if let Some(element) = table.get(at) {
        line(element);
    }
}

/// Asks the processor for all lines of `table[at]`. Out of range it does nothing.
#[inline(always)]
pub(crate) fn whole<T>(table: &[T], at: usize) {
    if let Some(element) = table.get(at) {
        let start = std::ptr::from_ref(element).cast::<i8>();
        for offset in (0..size_of::<T>()).step_by(64) {
            ask(start.wrapping_add(offset));
        }
    }
}

/// Asks the processor for the line that the value begins in.
#[inline(always)]
pub(crate) fn line<T: ?Sized>(value: &T) {
    ask(std::ptr::from_ref(value).cast::<i8>());
}

#[inline(always)]
#[allow(unsafe_code, reason = "the instruction has no safe form")]
fn ask(at: *const i8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is part of the baseline (SSE), reads nothing that the program can
        // see, and faults on no address; those asked for are of live values.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Asks the processor for the line that the value begins in, as one that is going to be written: so
/// that another core gives it away meanwhile.
#[inline(always)]
#[allow(unsafe_code, reason = "the instruction has no safe form")]
pub(super) fn line_to_write<T>(value: &mut T) {
    #[cfg(target_arch = "x86_64")]
    {
        let at = std::ptr::from_mut(value);
        // SAFETY: the instruction changes nothing that the program can see and faults on no address;
        // a processor that does not know it passes over it. (As an intrinsic it is only made for
        // those that are sure to know it.)
        unsafe {
            std::arch::asm!(
                "prefetchw [{at}]",
                at = in(reg) at,
                options(nostack, preserves_flags, readonly)
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    /// Neither the ends of a table nor places behind it are special.
    #[test]
    fn asking_changes_nothing() {
        let table = [1_u64, 2, 3];
        for at in [0, 2, 3, usize::MAX] {
            super::element(&table, at);
            super::whole(&table, at);
        }
        super::element::<u64>(&[], 0);
        super::line("");
        let mut table = table;
        table.iter_mut().for_each(super::line_to_write);
        assert_eq!(table, [1, 2, 3]);
    }
}
