package export_acme_greeter_words

import . "greeter/acme_greeter_words"

func SameStruct(value Struct) Struct {
	return value
}

func SameUnion(class Union) Union {
	return class
}

func Return(for_, class, fn, def, var_, func_, await uint8) (sum uint32) {
	for _, number := range []uint8{for_, class, fn, def, var_, func_, await} {
		sum += uint32(number)
	}
	return sum
}

func Delete(self Default) bool {
	return self == DefaultNil
}
