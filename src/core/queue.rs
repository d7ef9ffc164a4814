use std::collections::VecDeque;

/// Takes out the first item if it is due.
pub(crate) fn pop_front_if<T>(queue: &mut VecDeque<T>, is_due: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(is_due) { queue.pop_front() } else { None }
}
