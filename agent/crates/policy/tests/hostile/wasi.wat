;; Wants the environment of the agent.
(import "wasi:cli/environment@0.2.0" "get-arguments" (func $arguments (param i32)))
(func (export "release") (param i32) (result i32)
  (call $arguments (i32.const 128))
  (i32.const 64))
