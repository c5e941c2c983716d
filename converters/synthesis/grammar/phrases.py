"""Phrase lists that fill the slots of the templates; an entry may itself hold slots.

Written for this project, spoken form, lower case. Titles are old enough to be public domain.
"""

from __future__ import annotations


def _split(block: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in block.replace("\n", ",").split(",") if part.strip())


PHRASES: dict[str, tuple[str, ...]] = {
    "unit_time": ("seconds", "minutes", "minutes", "minutes", "hours"),
    "day": _split("""today, tomorrow, tonight, this evening, tomorrow morning, tomorrow afternoon
        monday, tuesday, wednesday, thursday, friday, saturday, sunday, on monday, on friday
        this weekend, next week, next thursday, the day after tomorrow, this afternoon"""),
    "month": _split("""january, february, march, april, may, june, july, august, september
        october, november, december"""),
    "room": _split("""kitchen, bedroom, living room, bathroom, hallway, office, garage, pantry
        dining room, basement, nursery, guest room, porch, attic, laundry room, study, den
        workshop, sunroom, entrance, patio, playroom, master bedroom, upstairs bathroom"""),
    "device": _split("""lights, light, lamp, ceiling light, fan, ceiling fan, heater, heating
        air conditioner, television, t v, speaker, radio, dishwasher, washing machine, dryer
        oven, coffee maker, kettle, vacuum, thermostat, humidifier, dehumidifier, air purifier
        plug, outlet, switch, sprinklers, fireplace, projector, printer, night light, desk lamp
        floor lamp, towel warmer, aquarium, bedside lamp, electric blanket, hot tub, pool pump
        string lights, reading light, extractor fan, rice cooker, sound system, monitor"""),
    "covering": _split("blinds, curtains, shades, shutters, skylight, drapes, awning"),
    "lock": _split("""front door, back door, garage door, side door, gate, patio door, car
        cellar door, windows, shed, mailbox, safe"""),
    "color": _split("""red, blue, green, purple, orange, yellow, pink, white, warm white
        cool white, turquoise, violet, gold, amber, lavender, teal"""),
    "scene": _split("movie, dinner, reading, party, bedtime, morning, romantic, focus, away"),
    "list": _split("""shopping list, grocery list, to do list, packing list, wish list
        reading list, hardware list, gift list, chores list, camping list, errands list"""),
    "item": _split("""milk, bread, eggs, butter, cheese, apples, bananas, oranges, tomatoes
        potatoes, onions, garlic, carrots, spinach, rice, pasta, flour, brown sugar, salt
        olive oil, chicken, ground beef, salmon, tofu, yogurt, cereal, oatmeal, coffee, tea bags
        orange juice, sparkling water, beer, red wine, paper towels, toilet paper, dish soap
        laundry detergent, batteries, light bulbs, toothpaste, shampoo, dog food, cat litter
        diapers, candles, wrapping paper, ice cream, frozen peas, peanut butter, honey
        strawberry jam, cinnamon, vanilla, baking powder, almonds, crackers, salsa, avocados
        limes, cilantro, mushrooms, bell peppers, lettuce, cucumbers, celery, bacon, sausages
        tortillas, black beans, lentils, chickpeas, maple syrup, mustard, ketchup, vinegar
        soy sauce, popcorn, pretzels, dark chocolate, raisins, walnuts, cottage cheese, shrimp
        a dozen eggs, two gallons of milk, a loaf of bread, a bag of ice, six lemons
        three cans of soup, a jar of pickles, a pack of gum, four pork chops, trash bags"""),
    "relative": _split("""mom, mum, dad, my mother, my father, my brother, my sister, my wife
        my husband, grandma, grandpa, the office, work, home, my boss, the doctor, the dentist
        the school, the babysitter, my landlord, aunt {first}, uncle {first}, doctor {last}
        mister {last}, missus {last}, professor {last}, coach {last}, cousin {first}"""),
    "line": _split("mobile, home, work, cell, cell phone, office phone, landline"),
    "app": _split("whatsapp, signal, messenger, skype, telegram, email"),
    "message": _split("""i'm on my way, i'm running late, i'll be there in {n30} minutes
        where are you, call me when you can, happy birthday, dinner is ready, see you at {clock}
        can you pick up some {item}, thanks for everything, the meeting moved to {clock}
        good luck today, i love you, did you feed the dog, don't forget the {item}, i'm outside
        what time are you coming home, sorry i missed your call, let's meet at {clock} {day}
        i left my keys at {first}'s house, {first} says hello, the train is delayed
        we are out of {item}, the plumber is coming {day}, i'll call you back in {n30} minutes
        are you still coming {day}, bring a {word} with you, the code is {digits}
        {first} and i are at the {place_kind}, please lock the {lock}, i got the tickets"""),
    "task": _split("""take out the trash, call {contact}, water the plants, pay the rent
        pick up {first}, take my medicine, walk the dog, buy {item}, check the oven
        move the car, charge my phone, feed the cat, renew my passport, email {contact}
        send the invoice to {contact}, book a table for {n12}, return the library books
        turn off the {device}, cancel the subscription, submit the report, clean the {room}
        defrost the {item}, change the air filter, sign the papers for {contact}
        order more {item}, stretch, drink some water, wrap the gift for {first}"""),
    "event": _split("""meeting, appointment, lunch, dinner, call, interview, haircut
        dentist appointment, piano lesson, yoga class, parents evening, job review, party"""),
    "genre": _split("""jazz, rock, classical music, hip hop, country music, pop, blues
        folk music, reggae, electronic music, opera, lullabies, christmas music, piano music
        rain sounds, ocean waves, white noise, meditation music, workout music, soul, funk
        disco, heavy metal, bossa nova, swing, bluegrass, gospel, choir music, techno, ambient
        nineties hits, eighties hits, movie soundtracks, acoustic guitar, string quartets"""),
    "condition": _split("rain, snow, be sunny, be windy, be cold, be hot, be cloudy, freeze, hail"),
    "city": _split("""london, paris, new york, chicago, seattle, denver, boston, miami, dallas
        houston, phoenix, atlanta, berlin, madrid, rome, tokyo, sydney, toronto, dublin, lisbon
        vienna, prague, oslo, helsinki, athens, cairo, nairobi, mumbai, singapore, bangkok
        san francisco, los angeles, las vegas, new orleans, salt lake city, edinburgh, glasgow
        manchester, munich, hamburg, barcelona, geneva, brussels, amsterdam, copenhagen
        stockholm, warsaw, budapest, istanbul, albuquerque, des moines, boise, tucson, oakland
        vancouver, montreal, melbourne, auckland, johannesburg, buenos aires, mexico city
        minneapolis, pittsburgh, cincinnati, nashville, memphis, sacramento, portland, omaha"""),
    "country": _split("""france, germany, japan, brazil, canada, australia, kenya, egypt, norway
        peru, chile, mexico, india, china, thailand, portugal, greece, turkey, iceland, ghana
        mongolia, nigeria, poland, ireland, cuba, bolivia, vietnam, nepal, finland, morocco"""),
    "language": _split("""spanish, french, german, italian, japanese, portuguese, swedish, dutch
        korean, mandarin, arabic, polish"""),
    "measure": _split("""ounces, cups, grams, pounds, feet, inches, miles, kilometers, meters
        liters, teaspoons, tablespoons, quarts, gallons, kilograms, yards, centimeters, pints"""),
    "measure_one": _split("pound, cup, gallon, mile, liter, kilogram, quart, foot, yard, pint"),
    "wonder": _split("""the moon, the sun, mount everest, the eiffel tower, the nile, jupiter
        the amazon river, the pacific ocean, the great wall of china, the grand canyon, a giraffe
        the golden gate bridge, the speed of light, a blue whale, an elephant, a marathon, saturn
        a light year, the dead sea, niagara falls, a hummingbird, the leaning tower of pisa"""),
    "place_kind": _split("""airport, gas station, train station, hospital, pharmacy, library
        coffee shop, grocery store, post office, hardware store, bakery, bus stop, museum, bank
        swimming pool, farmers market, movie theater, gym, bookstore, veterinarian, park"""),
    "place": _split("""the {place_kind}, the nearest {place_kind}, {first}'s house, work, home
        {city}, {number} {last} street, {last} park, the {last} {place_kind}, {city} airport
        {number} {word} avenue, the {place_kind} on {word} street"""),
    "known_title": _split("""moonlight sonata, swan lake, the four seasons, ode to joy
        amazing grace, silent night, auld lang syne, greensleeves, clair de lune, fur elise
        the nutcracker, the blue danube, danny boy, scarborough fair, oh susanna, carmen
        home on the range, the entertainer, maple leaf rag, rhapsody in blue, the magic flute
        peter and the wolf, pride and prejudice, moby dick, treasure island, the time machine
        dracula, frankenstein, great expectations, little women, jane eyre, the odyssey
        alice in wonderland, the wizard of oz, war and peace, robinson crusoe, peter pan
        gulliver's travels, the secret garden, the jungle book, black beauty, king lear
        the call of the wild, wuthering heights, around the world in eighty days, hamlet
        the hound of the baskervilles, a christmas carol, the planets, finlandia, bolero"""),
    "band_kind": _split("band, brothers, sisters, trio, orchestra, quartet, ensemble, choir"),
}
