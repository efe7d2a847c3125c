// Package command is the program as a package, so that a main of your own
// with one more plug-in is one call:
//
//	func main() { command.Main(func(r *engine.Registry) { r.RegisterProvider(mine{}) }) }
package command
