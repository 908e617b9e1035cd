;; Grows a table until it gets no more.
(table $table 0 funcref)
(func (export "release") (param i32) (result i32)
  (loop $more
    (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 65536)) (i32.const -1))))
  unreachable)
