;; Its answer stands where no memory is.
(func (export "release") (param i32) (result i32)
  (i32.const 0x7ffffff0))
