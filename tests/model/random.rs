//! Random sequences, shrunk to the shortest that still goes wrong.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::stage::play;
use crate::steps::{Step, at_once, sequence};

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn hold(cases: u32, sequences: impl Strategy<Value = Vec<Step>>) {
    let config = Config {
        cases: setting("SRCFS_MODEL_CASES", cases),
        failure_persistence: None,
        max_shrink_iters: 400,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&setting("SRCFS_MODEL_SEED", 1).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let outcome = runner.run(&sequences, |steps| play(&steps).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn one_after_the_other_every_answer_is_the_models() {
    hold(60, sequence());
}

#[test]
fn at_once_every_answer_is_the_models_in_some_order() {
    hold(30, at_once());
}
