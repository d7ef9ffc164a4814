//! The shortest list of steps that still shows a difference.

use super::step::Step;

/// Drops steps, in halves at first and singly at last, as long as `differs` says that the rest differs.
/// Tries no more than `trials` lists.
pub(crate) fn shrink(
    mut steps: Vec<Step>,
    mut trials: usize,
    mut differs: impl FnMut(&[Step]) -> bool,
) -> Vec<Step> {
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < steps.len() {
            if trials == 0 {
                return steps;
            }
            trials -= 1;
            let end = (at + chunk).min(steps.len());
            let fewer = [&steps[..at], &steps[end..]].concat();
            if differs(&fewer) {
                steps = fewer;
            } else {
                at = end;
            }
        }
        chunk /= 2;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::step::Action;

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let steps: Vec<Step> = (0..50).map(|slot| Step { slot, action: Action::Drop }).collect();
        let both = |steps: &[Step]| [7, 31].iter().all(|want| steps.iter().any(|step| step.slot == *want));
        let left: Vec<usize> = shrink(steps, 200, both).iter().map(|step| step.slot).collect();
        assert_eq!(left, [7, 31]);
    }

    #[test]
    fn shrinking_ends_after_the_trials_it_was_given() {
        let steps: Vec<Step> = (0..50).map(|slot| Step { slot, action: Action::Drop }).collect();
        let mut trials = 0;
        shrink(steps, 5, |_| {
            trials += 1;
            false
        });
        assert_eq!(trials, 5);
    }
}
