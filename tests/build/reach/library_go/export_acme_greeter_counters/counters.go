package export_acme_greeter_counters

import . "go.bytecodealliance.org/pkg/wit/types"

var alive uint32

type Counter struct {
	value uint32
}

func MakeCounter(start uint32) *Counter {
	alive++
	return &Counter{start}
}

func (counter *Counter) OnDrop() {
	alive--
}

func (counter *Counter) Add(by uint32) uint32 {
	counter.value += by
	return counter.value
}

func (counter *Counter) Value() uint32 {
	return counter.value
}

func CounterSized(text string) Result[*Counter, string] {
	if text == "" {
		return Err[*Counter]("empty")
	}
	return Ok[*Counter, string](MakeCounter(uint32(len(text))))
}

func CounterMerged(first, second *Counter) *Counter {
	defer first.Drop()
	return MakeCounter(first.value + second.value)
}

func Largest(counters []*Counter) Option[uint32] {
	largest := None[uint32]()
	for _, counter := range counters {
		largest = Some(max(counter.value, largest.SomeOr(0)))
	}
	return largest
}

func Several(count uint32) []*Counter {
	counters := make([]*Counter, count)
	for start := range counters {
		counters[start] = MakeCounter(uint32(start))
	}
	return counters
}

func Renamed(named Named) Named {
	return Named{named.Name + "!", named.Counter}
}

func Alive() uint32 {
	return alive
}
