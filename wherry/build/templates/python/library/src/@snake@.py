# Made from wit/@kebab@.wit by `wherry build`, in build/bindings/@kebab@.
import wit_world


class WitWorld(wit_world.WitWorld):
    def greet(self, name: str) -> str:
        return f"Hello, {name}!"
