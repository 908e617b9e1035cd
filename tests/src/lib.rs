//! Black-box tests of the `backstop` binary live in `tests/`; this library holds what they share.
