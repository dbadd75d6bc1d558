package export_acme_greeter_maybes

import (
	"strconv"

	. "greeter/acme_greeter_maybes"

	. "go.bytecodealliance.org/pkg/wit/types"
)

func SameOption(value Option[uint32]) Option[uint32]                    { return value }
func SameText(value Option[string]) Option[string]                      { return value }
func SameTwice(value Option[Option[uint8]]) Option[Option[uint8]]       { return value }
func SameList(value []Option[Point]) []Option[Point]                    { return value }
func SameBoth(value Result[uint32, string]) Result[uint32, string]      { return value }
func SameOk(value Result[Point, Unit]) Result[Point, Unit]              { return value }
func SameErr(value Result[Unit, string]) Result[Unit, string]           { return value }
func SameNeither(value Result[Unit, Unit]) Result[Unit, Unit]           { return value }
func SameOutcomes(value Outcomes) Outcomes                              { return value }
func SameResults(value []Result[string, uint8]) []Result[string, uint8] { return value }

func Parsed(text string) Result[uint16, string] {
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return Err[uint16](err.Error())
	}
	return Ok[uint16, string](uint16(number))
}
