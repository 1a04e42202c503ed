;; target[row] += matrix[row] · vector, for rows of floats whose number is a multiple of 16.
(module
  (import "page" "memory" (memory 1))
  (func (export "product")
    (param $target i32) (param $matrix i32) (param $vector i32)
    (param $rows i32) (param $bytes i32) ;; of a row
    (local $end i32) (local $column i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $vector) (local.get $bytes)))
    (loop $row
      (local.set $column (local.get $vector))
      (local.set $a (v128.const i32x4 0 0 0 0))
      (local.set $b (local.get $a))
      (local.set $c (local.get $a))
      (local.set $d (local.get $a))
      (loop $columns
        (local.set $a (f32x4.add (local.get $a)
          (f32x4.mul (v128.load (local.get $matrix)) (v128.load (local.get $column)))))
        (local.set $b (f32x4.add (local.get $b)
          (f32x4.mul (v128.load offset=16 (local.get $matrix)) (v128.load offset=16 (local.get $column)))))
        (local.set $c (f32x4.add (local.get $c)
          (f32x4.mul (v128.load offset=32 (local.get $matrix)) (v128.load offset=32 (local.get $column)))))
        (local.set $d (f32x4.add (local.get $d)
          (f32x4.mul (v128.load offset=48 (local.get $matrix)) (v128.load offset=48 (local.get $column)))))
        (local.set $matrix (i32.add (local.get $matrix) (i32.const 64)))
        (local.set $column (i32.add (local.get $column) (i32.const 64)))
        (br_if $columns (i32.lt_u (local.get $column) (local.get $end))))
      (local.set $a (f32x4.add
        (f32x4.add (local.get $a) (local.get $b)) (f32x4.add (local.get $c) (local.get $d))))
      (f32.store (local.get $target)
        (f32.add (f32.load (local.get $target))
          (f32.add
            (f32.add (f32x4.extract_lane 0 (local.get $a)) (f32x4.extract_lane 1 (local.get $a)))
            (f32.add (f32x4.extract_lane 2 (local.get $a)) (f32x4.extract_lane 3 (local.get $a))))))
      (local.set $target (i32.add (local.get $target) (i32.const 4)))
      (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
      (br_if $row (local.get $rows)))))
