"""Orders at a counter or a coffee machine: one domain with many optional parts.

An order is put together from parts (`{drink}` and the lists below) so that sizes, roasts, shots,
milks and sweeteners combine freely. Written for this project.
"""

from __future__ import annotations

DRINK_PHRASES: dict[str, tuple[str, ...]] = {
    "drink_size": ("small", "medium", "large", "extra large", "regular", "tall", "double", "single"),
    "drink_roast": ("light roast", "medium roast", "dark roast", "blonde roast", "decaf", "house"),
    "drink_kind": (
        "coffee", "coffee", "espresso", "americano", "latte", "latte", "cappuccino", "cappuccino",
        "mocha", "macchiato", "flat white", "cortado", "cold brew", "iced tea", "green tea",
        "black tea", "chai latte", "hot chocolate", "ristretto", "drip coffee", "iced coffee",
        "matcha", "lemonade", "earl grey", "mint tea", "lungo", "orange juice", "steamed milk",
    ),
    "drink_shots": (
        "single shot", "double shot", "triple shot", "quadruple shot", "one shot", "two shots",
        "three shots", "four shots", "an extra shot", "half a shot", "two extra shots",
    ),
    "drink_milk": (
        "milk", "whole milk", "skim milk", "two percent milk", "soy milk", "almond milk",
        "oat milk", "coconut milk", "cream", "half and half", "lactose free milk", "foam",
        "whipped cream", "steamed milk", "cashew milk",
    ),
    "drink_sweet": (
        "sugar", "brown sugar", "honey", "sweetener", "vanilla syrup", "caramel", "hazelnut syrup",
        "maple syrup", "cinnamon", "chocolate powder", "nutmeg", "stevia", "caramel drizzle",
        "raw sugar", "artificial sweetener", "cane sugar",
    ),
    "drink_amount": (
        "a little", "some", "lots of", "extra", "no", "a bit of", "plenty of", "half the", "a lot of",
        "one spoon of", "two spoons of", "a splash of", "one pump of", "two pumps of", "a dash of",
    ),
    "drink_warmth": ("hot", "iced", "extra hot", "lukewarm", "cold", "warm", "very hot"),
    "drink_strength": ("strong", "weak", "mild", "extra strong", "bold", "smooth"),
    "drink_cup": ("mug", "travel cup", "paper cup", "glass", "tall glass", "thermos"),
}

DRINK_TEMPLATES: tuple[str, ...] = (
    "can i get a {drink}",
    "could i have a {drink} please",
    "i'd like a {drink}",
    "i would like {number_small} {drink_kind}s please",
    "i'll have a {drink}",
    "make me a {drink}",
    "make a {drink}",
    "brew a {drink}",
    "give me a {drink}",
    "a {drink} please",
    "get me a {drink}",
    "order a {drink} for {first}",
    "start a {drink}",
    "prepare a {drink} at {clock}",
    "i want a {drink}",
    "let me get a {drink}",
    "may i have a {drink}",
    "pour me a {drink_size} {drink_kind}",
    "could you make a {drink_strength} {drink_kind} in a {drink_cup}",
    "make my {drink_kind} {drink_strength}",
    "two {drink_kind}s with {drink_milk}",
    "add {drink_amount} {drink_sweet} to my {drink_kind}",
    "change that to a {drink}",
    "i'll take the {drink_roast} with {drink_amount} {drink_milk}",
    "cancel my {drink_kind}",
    "same again but with {drink_milk}",
    "is the {drink_kind} ready",
    "how about a {drink_size} {drink_roast} {drink_kind}",
    "no {drink_sweet} in the {drink_kind} please",
    "repeat my last {drink_kind} order",
    "fill the {drink_cup} with {drink_kind}",
    "{drink}",
)
