;; Gives up with words that would clear a terminal, forge a line and turn the reading direction.
(data (i32.const 1024) "\1b[2J\nok: everything is fine\e2\80\ae.")
(func (export "release") (param i32) (result i32)
  (i32.store8 (i32.const 64) (i32.const 1))
  (i32.store (i32.const 68) (i32.const 1024))
  (i32.store (i32.const 72) (i32.const 31))
  (i32.const 64))
