"""A small corpus: things with four facts each, told as passages, asked for as questions, and written as lines for a language model to learn."""
# ruff: noqa: E501

import numpy as np

FACTS = """
Tungsten: keeps the highest melting point of all metals; glows in the filaments of old light bulbs; hardens the tips of drilling tools; is called wolfram in German
Copper: carries electric current in most household wires; turns green on the roofs of old churches; is mixed with tin to make bronze; was dug in great amounts on Cyprus
Mercury: is a metal that flows at room temperature; filled the thermometers of earlier times; dissolves gold in an amalgam; poisoned the makers of felt hats
Helium: lifts balloons without any danger of fire; was seen in sunlight before it was found on Earth; makes voices sound high for a moment; cools the magnets of hospital scanners
Salt: preserves meat and fish through the winter; was once taxed until people marched to the sea; melts ice on roads; crystallises in small cubes
Diamond: scratches every other mineral; burns to nothing but carbon dioxide; is pressed together deep below the crust; is weighed in carats
Glass: is melted from sand, soda and lime; breaks into sharp pieces; was blown on the island of Murano; guides light through the cables of the internet
Paper: was first beaten from bark and rags in China; replaced parchment in the libraries of Europe; turns yellow where it meets light and acid; is folded into cranes in Japan
Rubber: drips as milk from cuts in a tree; was made firm with sulphur by Charles Goodyear; seals the joints of pipes; wipes away the marks of pencils
Silk: is spun by caterpillars that eat mulberry leaves; gave its name to the roads between China and Rome; was woven into the first parachutes; feels smooth and cool on the skin
Honey: never spoils in a sealed jar; is made of nectar by insects in hives; was found in the tombs of pharaohs; crystallises when it is kept cold
Coffee: is brewed from roasted seeds of a red cherry; keeps students awake at night; was forbidden for a time in Mecca; grows best on shady mountains
Tea: is picked as young leaves and a bud; was thrown into the harbour of Boston; is poured with milk in England; is whisked as a green powder in Kyoto
Chocolate: was drunk bitter by the Aztecs; melts just below the warmth of the mouth; is poisonous to dogs; is ground from fermented beans
Rice: feeds more people than any other grain; is planted by hand in flooded fields; is steamed for sushi; is harvested from terraces in Bali
Potato: came to Europe from the Andes; failed in Ireland and starved a nation; hides its tubers under the soil; is fried in sticks and salted
Olive: gives an oil for salads and lamps; grows on trees that live a thousand years; was the gift of Athena to a city; stands for peace when a dove carries its branch
Elephant: is the heaviest animal that walks on land; drinks with its long nose; mourns the bones of its dead; carries its young for twenty two months
Octopus: has three hearts and blue blood; squeezes through any hole as large as its beak; changes the colour of its skin in an instant; opens jars with its eight arms
Penguin: flies only under water; carries its egg on its feet through the polar night; lives at the southern end of the world; slides over the ice on its belly
Camel: stores fat in the hump on its back; closes its nostrils against sand; crosses the desert in caravans; goes without water for weeks
Bat: sees with echoes of its own cries; sleeps with its head down; is the only mammal that truly flies; leaves caves in swarms at dusk
Spider: weaves a net to catch flies; walks on eight legs; has silk that is stronger than steel of its weight; wraps its prey in threads
Eel: swims to the Sargasso Sea to spawn; slips out of every hand; stuns its prey with current in the Amazon; is smoked and eaten in Hamburg
Owl: turns its head almost all the way round; hunts mice without any sound; stood on the coins of Athens; stares with large yellow eyes
Whale: sings songs that cross an ocean; was hunted for the oil of lamps; breathes through a hole in its head; filters tiny shrimps through plates of horn
Volcano: throws ash and lava into the sky; buried Pompeii in one day; builds islands out of the sea; makes the soil around it fertile
Glacier: grinds valleys into the shape of a letter U; creeps downhill a hand's width a day; stores most of the fresh water; calves icebergs into the sea
Rainbow: appears with the sun behind the back and rain in front; bends light into its colours in drops; hides a pot of gold at its end in Irish tales; was explained with a prism by Newton
Lightning: strikes the highest tree in a field; was drawn from a cloud with a kite by Franklin; heats the air until it thunders; leaves glassy tubes in sand
Earthquake: is measured on a scale that counts in powers of ten; shakes the ground where plates of the crust slip; raises waves that drown harbours; destroyed Lisbon on a holiday
Moon: pulls the tides of the sea; always shows us the same face; was walked on by twelve men; hides the sun in an eclipse
Comet: grows a tail when it comes near the sun; was foretold by Halley for a year he did not live to see; is a dirty ball of ice and dust; was feared as a sign of bad luck
Saturn: would float in a large enough bath; wears rings of ice and rock; was drawn by Galileo as if it had ears; is circled by the hazy world called Titan
Compass: points its needle to the north; led sailors across open water; turns uselessly near a magnet; was used in China to place houses
Telescope: gathers the light of far stars with a mirror; showed Galileo four moons of Jupiter; floats above the air under the name of Hubble; turns a picture upside down
Printing press: spread the pages of Gutenberg through Europe; sets letters of lead in rows; ended the work of copying monks; made newspapers cheap
Steam engine: pumped water out of English mines; was improved by James Watt; burned coal to pull trains; turns boiling water into motion
Bicycle: balances on two wheels by steering into the fall; was first pushed along with the feet; is driven by a chain; races through France each summer
Piano: strikes its strings with felt hammers; has eighty eight black and white keys; plays soft and loud as its long name says; needs to be tuned every year
Violin: was built by Stradivari in Cremona; is played with a bow of horse hair; has four strings in fifths; rests between shoulder and chin
Pyramid: guards the dead kings of Egypt; was piled up of two million blocks; points its edges to the four winds; stands beside the Sphinx at Giza
Bridge: carries a road over a river; swings in the wind if it is built too light; is painted red in San Francisco; opens in the middle for ships in London
Lighthouse: warns ships of rocks by night; stood on the island of Pharos; turns a lamp behind a large lens; was once kept by lonely families
Chess: ends when the king can't escape; was lost by Kasparov to a machine; is played on sixty four squares; came from India with elephants for bishops
Marathon: is run over forty two kilometres; remembers a messenger who fell dead in Athens; crosses the bridges of New York in autumn; was won barefoot by Bikila in Rome
Clock: was steadied with a pendulum by Huygens; found the longitude for Harrison at sea; ticks once a second; strikes twelve at noon
Penicillin: was found in a dish that mould had spoiled; kills bacteria and no viruses; saved wounded soldiers in the war; brought Fleming a Nobel prize
"""

OTHERS = """
The baker kneads the dough before the sun is up. Where did the travellers leave their boots?
A letter without a stamp came back after three weeks. Who has taken the ladder out of the shed?
Rain had washed the chalk from the pavement. Which train stops at the village on Sundays?
The choir practises in the school until nine. What did the children paint on the wall?
Snow lay on the roofs, and nobody had cleared the path. How long does the ferry take to the island?
Her grandfather mended watches in a narrow shop. Why is the museum closed on Mondays?
The river froze so hard that carts could cross it. When will the new library open?
Two goats had eaten the curtains of the caravan. Who plays the trumpet in the last act?
"""
"""Sentences on other matters, to calibrate with and to measure influence on."""


def facts() -> list[tuple[str, list[str]]]:
    """Things with their four facts, in order."""
    lines = [line.partition(": ") for line in FACTS.strip().splitlines()]
    return [(name, told.split("; ")) for name, _, told in lines]


def passages() -> list[str]:
    """One passage for each thing."""
    return [" ".join([f"{name} {told[0]}.", *(f"It {fact}." for fact in told[1:])]) for name, told in facts()]


def questions(seed: int) -> list[tuple[str, int]]:
    """Questions and the number of the passage that answers each, in a seeded order; none names what it asks for."""
    asked = [(f"What {fact}?", index) for index, (_, told) in enumerate(facts()) for fact in told]
    return [asked[i] for i in np.random.default_rng(seed).permutation(len(asked))]


def lines() -> list[str]:
    """Questions, each with an answer of two sentences, to learn by heart."""
    return [
        f"what {fact} ? {name.lower()} {fact} . it {told[(place + 1) % len(told)]} .".replace(",", " ,").lower()
        for name, told in facts()
        for place, fact in enumerate(told)
    ]


def others() -> list[str]:
    """Sentences that share nothing with passages and questions."""
    return [sentence for line in OTHERS.strip().splitlines() for sentence in line.partition(". ")[::2]]
