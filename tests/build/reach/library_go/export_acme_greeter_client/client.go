package export_acme_greeter_client

import (
	. "greeter/acme_greeter_host"

	. "go.bytecodealliance.org/pkg/wit/types"
)

func Classified(reading Reading) Result[Level, string] {
	return Classify(reading)
}

func SameEvent(event Event) Event {
	return event
}

func Totals(rows [][]uint64) []uint64 {
	totals := make([]uint64, len(rows))
	for i, row := range rows {
		totals[i] = Total(row)
	}
	return totals
}

func TellAll(texts []string) {
	for _, text := range texts {
		Tell(text)
	}
}

func Logged(name string, events []Event) *Log {
	log := MakeLog(name)
	if len(events) > 0 {
		log.Add(events[0])
		log.AddAll(events[1:])
	}
	return log
}

func LastLine(log *Log) Option[string] {
	defer log.Drop()
	lines := log.Lines()
	if len(lines) == 0 {
		return None[string]()
	}
	return Some(lines[len(lines)-1])
}

func Both(first, second *Log) *Log {
	defer second.Drop()
	return LogMerged(first, second)
}
