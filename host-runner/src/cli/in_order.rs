//! Work on all cores, whose results arrive in the order of the work.

use std::sync::mpsc;
use std::thread;

/// How many results of a core may wait for those before them.
const WAITING: usize = 1;

/// Does all of the work, and passes each result with its index to `each`. At most a few results exist at a time: a core that is
/// ahead of the others waits.
pub(crate) fn in_order<W: Sync, R: Send>(
    work: &[W],
    run: impl Fn(usize, &W) -> R + Sync,
    mut each: impl FnMut(usize, R),
) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let run = &run;
    thread::scope(|scope| {
        let cores = (0..cores).map(|core| {
            let (sender, results) = mpsc::sync_channel(WAITING);
            let own = work.iter().enumerate().skip(core).step_by(cores);
            scope.spawn(move || {
                for (index, work) in own {
                    if sender.send(run(index, work)).is_err() {
                        break;
                    }
                }
            });
            results
        });
        let cores: Vec<_> = cores.collect();
        for (index, results) in (0..work.len()).zip(cores.iter().cycle()) {
            // Without a result, the thread has panicked, and the scope will panic too.
            let Ok(result) = results.recv() else { break };
            each(index, result);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_work() {
        for count in [0, 1, 2, 3, 100] {
            let work: Vec<_> = (0..count).collect();
            let mut results = Vec::new();
            let slow = |index: usize, work: &usize| {
                if index.is_multiple_of(3) {
                    thread::yield_now();
                }
                (index, *work * 2)
            };
            in_order(&work, slow, |index, result| results.push((index, result)));
            let expected: Vec<_> = (0..count).map(|index| (index, (index, index * 2))).collect();
            assert_eq!(results, expected);
        }
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_passed_on() {
        in_order(&[1, 2, 3], |_, work| assert_ne!(*work, 2), |_, ()| {});
    }
}
