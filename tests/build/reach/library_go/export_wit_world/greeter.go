// Package export_wit_world implements what library.wit exports by itself; the other packages implement its
// interfaces. Each function is described there.
package export_wit_world

import (
	"greeter/acme_greeter_host"
	"greeter/wit_world"
)

func Greet(name string) string {
	return wit_world.Shout(acme_greeter_host.Name() + " greets " + name)
}
