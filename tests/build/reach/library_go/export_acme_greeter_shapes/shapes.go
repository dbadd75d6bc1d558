package export_acme_greeter_shapes

import (
	"math"

	. "greeter/acme_greeter_shapes"

	. "go.bytecodealliance.org/pkg/wit/types"
)

func SamePoint(value Point) Point         { return value }
func SameSegment(value Segment) Segment   { return value }
func SameShape(value Shape) Shape         { return value }
func SameShapes(value []Shape) []Shape    { return value }
func SameColour(value Colour) Colour      { return value }
func SameOne(value One) One               { return value }
func SameNine(value Nine) Nine            { return value }
func SameMost(value Most) Most            { return value }
func SamePair(value Pair) (string, Point) { return value.F0, value.F1 }

func SameTuple(value Tuple3[uint8, Tuple2[string, rune], []Colour]) (uint8, Tuple2[string, rune], []Colour) {
	return value.F0, value.F1, value.F2
}

func Looks(shape Shape) Option[Tuple2[Colour, uint32]] {
	switch shape.Tag() {
	case ShapeDot:
		return Some(Tuple2[Colour, uint32]{ColourRed, 1})
	case ShapeAt:
		return Some(Tuple2[Colour, uint32]{ColourGreen, 2})
	case ShapeMany:
		return Some(Tuple2[Colour, uint32]{ColourDarkBlue, uint32(len(shape.Many()))})
	}
	return None[Tuple2[Colour, uint32]]()
}

func Turned(point Point, marks Nine) (Point, bool) {
	both := NineA | NineI
	return Point{X: int32(math.Round(point.Y)), Y: float64(point.X)}, marks&both == both
}
