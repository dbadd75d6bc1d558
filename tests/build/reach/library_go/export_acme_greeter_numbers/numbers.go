package export_acme_greeter_numbers

import . "greeter/acme_greeter_numbers"

var calls uint32

func SameBool(value bool) bool       { return value }
func SameU8(value uint8) uint8       { return value }
func SameU16(value uint16) uint16    { return value }
func SameU32(value uint32) uint32    { return value }
func SameU64(value uint64) uint64    { return value }
func SameS8(value int8) int8         { return value }
func SameS16(value int16) int16      { return value }
func SameS32(value int32) int32      { return value }
func SameS64(value int64) int64      { return value }
func SameF32(value float32) float32  { return value }
func SameF64(value float64) float64  { return value }
func SameChar(value rune) rune       { return value }
func SameBytes(value []uint8) []byte { return value }
func SameRows(value Rows) Rows       { return value }

func Twenty(
	a uint8, b uint16, c uint32, d uint64, e int8, f int16, g int32, h int64, i float32, j float64, k bool, l string,
	m uint8, n uint16, o uint32, p uint64, q int8, r int16, s, t string,
) (float64, string) {
	unsigned := uint64(a) + uint64(b) + uint64(c) + d + uint64(m) + uint64(n) + uint64(o) + p
	if k {
		unsigned++
	}
	signed := int64(e) + int64(f) + int64(g) + h + int64(q) + int64(r)
	return float64(unsigned) + float64(signed) + float64(i) + j, l + s + t
}

func Count() {
	calls++
}

func Counted() uint32 {
	return calls
}
