"""Sentence templates of the assistant's intents, with how often each intent is drawn.

Written for this project. An intent's weight is its share of the template sentences; a template
that stands twice is drawn twice as often.
"""

from __future__ import annotations

from dataclasses import dataclass

from converters.synthesis.grammar.drinks import DRINK_TEMPLATES


@dataclass(frozen=True)
class Intent:
    """One thing a user may want, and the ways to say it."""

    name: str
    weight: int
    """Relative frequency among all intents."""
    templates: tuple[str, ...]


def _intent(name: str, weight: int, block: str) -> Intent:
    return Intent(name, weight, tuple(line.strip() for line in block.splitlines() if line.strip()))


INTENTS: tuple[Intent, ...] = (
    _intent("call", 12, """
        call {contact}
        call {contact}
        phone {contact}
        ring {contact}
        dial {contact}
        call {contact} on {line}
        call {contact} on speaker
        please call {contact}
        can you call {contact}
        could you get {contact} on the phone
        i need to talk to {contact}
        make a call to {contact}
        give {contact} a call
        start a video call with {contact}
        call {contact} on {app}
        {app} call to {contact}
        dial {digits}
        call the number {digits}
        redial
        call back
        answer the call
        answer
        hang up
        end the call
        decline the call
        who called me
        did {contact} call
        do i have any missed calls
        play my voicemail
        call {contact} and {contact}
        add {contact} to the call
        call {contact} again
        call the {last} {place_kind}
        put {contact} on hold
        """),
    _intent("message", 9, """
        text {contact}
        text {contact} {message}
        send a text to {contact}
        send {contact} a message
        send a message to {contact} saying {message}
        tell {contact} {message}
        message {contact} {message}
        text {contact} and say {message}
        write to {contact} {message}
        let {contact} know {message}
        send {contact} a {app} message
        reply {message}
        read my messages
        read me the last message from {contact}
        do i have any messages from {contact}
        email {contact} about the {item}
        what did {contact} say
        share my location with {contact}
        announce {message}
        forward that to {contact}
        delete the last message
        new email to {contact} subject {title}
        """),
    _intent("contact", 5, """
        what is {contact}'s phone number
        what's {contact}'s number
        show me {contact}
        find {contact} in my contacts
        add {contact} to my contacts
        delete {contact} from my contacts
        when is {contact}'s birthday
        what is {contact}'s address
        where is {contact}
        is {contact} home
        is {contact} awake
        block {contact}
        make {contact} a favorite
        no i meant {contact}
        not {contact} {contact}
        yes {contact}
        {contact}
        {contact} is spelled {letters}
        {contact}'s new number is {digits}
        """),
    _intent("timer", 9, """
        set a timer for {n60} {unit_time}
        set a {n60} minute timer
        start a {n60} minute timer
        timer {n60} minutes
        {n60} minute timer
        set a {n60} minute {item} timer
        set a timer for {n12} hours and {n60} minutes
        set a timer for {n30} and a half minutes
        set a timer for an hour and a half
        set a timer for half an hour
        count down {n60} {unit_time}
        start another timer for {n60} {unit_time}
        cancel the timer
        cancel the {n60} minute timer
        pause the timer
        resume the timer
        how much time is left
        how long is left on the {item} timer
        stop the timer
        stop
        add {n30} minutes to the timer
        take {n12} minutes off the timer
        start the stopwatch
        stop the stopwatch
        reset the stopwatch
        what timers are running
        restart the timer
        name the timer {word}
        """),
    _intent("alarm", 8, """
        set an alarm for {clock}
        set an alarm for {clock} {day}
        wake me up at {clock}
        wake me at {clock} {day}
        wake me up in {n12} hours
        set an alarm for {clock} every weekday
        set a daily alarm at {clock}
        cancel my {clock} alarm
        cancel the alarm
        turn off the alarm
        snooze
        snooze for {n30} minutes
        what time is my alarm
        which alarms are set
        change my alarm to {clock}
        delete all alarms
        alarm at {clock}
        move the {clock} alarm to {clock}
        i have to get up at {clock}
        skip the alarm {day}
        wake me with {genre} at {clock}
        """),
    _intent("music", 13, """
        play {title}
        play {title}
        play {title} by {artist}
        play {title} by {artist}
        play {artist}
        play songs by {artist}
        play something by {artist}
        play the album {title}
        play the newest album by {artist}
        i want to hear {title}
        play some {genre}
        play {genre} in the {room}
        play the podcast {title}
        play the audiobook {title}
        read me {title}
        play episode {n60} of {title}
        play season {n12} episode {n30} of {title}
        watch {title}
        put on {title}
        put on some {genre}
        shuffle {artist}
        play {title} on the {room} speaker
        play {title} on the t v
        play my {genre} playlist
        next
        next song
        skip
        skip this one
        skip forward {n60} seconds
        go back {n60} seconds
        previous song
        pause
        pause the music
        resume
        continue
        play
        stop the music
        stop playing
        repeat this song
        shuffle
        what song is this
        who is singing
        what's playing
        i like this song
        add this song to my {genre} playlist
        play the news
        play radio {radio}
        tune to {radio}
        play it again
        start over
        queue {title} by {artist}
        stop after this song
        """),
    _intent("volume", 5, """
        volume up
        volume down
        turn it up
        turn it down
        turn up the volume
        turn the volume down
        louder
        quieter
        mute
        unmute
        set the volume to {n10}
        volume {n10}
        set the volume to {n100} percent
        volume {n100} percent
        turn the volume up by {n30}
        full volume
        a little louder please
        a bit quieter
        that's too loud
        i can't hear you
        set the {room} volume to {n10}
        mute the {device}
        lower the volume in the {room}
        """),
    _intent("home", 13, """
        turn on the {device}
        turn off the {device}
        turn the {device} on
        turn the {device} off
        switch on the {device}
        switch off the {device}
        turn on the {room} {device}
        turn off the {room} {device}
        turn on the lights in the {room}
        turn off the lights in the {room}
        turn the {room} {device} off
        {room} lights on
        {room} lights off
        lights on
        lights off
        lights out
        turn off all the lights
        turn everything off
        dim the {room} lights
        dim the lights to {n100} percent
        set the {room} lights to {n100} percent
        brighten the {room} lights
        make the {room} lights {color}
        change the {device} to {color}
        turn on the {room} {device} and the {room} {device}
        start the {device}
        stop the {device}
        start the vacuum in the {room}
        turn on the {device} at {clock}
        turn off the {device} in {n60} minutes
        is the {device} on
        did i leave the {device} on
        leave the {room} {device} on until {clock}
        good night
        good morning
        i'm home
        i'm leaving
        activate {scene} mode
        start the {scene} scene
        """),
    _intent("climate", 4, """
        set the temperature to {n90} degrees
        set the thermostat to {n90}
        set the {room} to {n90} degrees
        make it warmer
        make it cooler
        it's too cold in here
        it's hot in the {room}
        turn up the heat
        turn down the heating by {n10} degrees
        what's the temperature in the {room}
        turn on the air conditioning in the {room}
        set the fan to {n10}
        heat the {room} at {clock}
        preheat the oven to {oven} degrees
        what is the humidity in the {room}
        """),
    _intent("security", 4, """
        lock the {lock}
        unlock the {lock}
        is the {lock} locked
        is the {lock} closed
        open the {lock}
        close the {lock}
        open the {covering}
        close the {covering} in the {room}
        open the {room} {covering} to {n100} percent
        raise the {covering}
        lower the {room} {covering}
        arm the alarm system
        disarm the alarm
        show me the {lock} camera
        who is at the door
        let {contact} in
        the code is {digits}
        """),
    _intent("weather", 6, """
        what's the weather
        what's the weather like
        how is the weather {day}
        what's the weather in {city}
        what's the weather in {city} {day}
        will it {condition} {day}
        will it {condition} in {city} {day}
        is it going to {condition} {day}
        do i need an umbrella
        do i need a coat {day}
        what's the temperature outside
        how hot is it in {city}
        what's the forecast for {day}
        what's the forecast for {city}
        when does the sun set
        when does the sun rise {day}
        how windy is it in {city}
        is there a storm coming
        when will it stop raining
        """),
    _intent("question", 8, """
        what time is it
        what time is it in {city}
        what's the date
        what day is it
        what is {number} plus {number}
        what is {number} minus {number}
        what's {number} times {number}
        what is {number} divided by {n30}
        what's {n100} percent of {number}
        how many {measure} are in a {measure_one}
        how many {measure} is {number} {measure}
        convert {number} {measure} to {measure}
        how tall is {wonder}
        how far away is {wonder}
        how old is {artist}
        who is {artist}
        when was {artist} born
        what is the capital of {country}
        how many people live in {city}
        how do you spell {word}
        what does {word} mean
        define {word}
        what rhymes with {word}
        translate {word} into {language}
        how do you say {word} in {language}
        tell me a joke
        tell me about {wonder}
        what's in the news
        who won the game
        flip a coin
        roll the dice
        pick a number between one and {n100}
        how many days until {date}
        what can you do
        who wrote {title}
        when does the {place_kind} close
        how many calories are in {item}
        what happened on {date}
        """),
    _intent("list", 7, """
        add {item} to the {list}
        add {item} to my {list}
        add {item} and {item} to the {list}
        add {item} {item} and {item} to my {list}
        put {item} on the {list}
        remove {item} from the {list}
        take {item} off my {list}
        what's on my {list}
        read me my {list}
        clear the {list}
        make a new list called {word}
        is {item} on my {list}
        check off {item}
        we need {item}
        we need {item} and {item}
        i ran out of {item}
        buy {item}
        order {number_small} {item}
        """),
    _intent("remind", 8, """
        remind me to {task}
        remind me to {task} at {clock}
        remind me to {task} {day}
        remind me to {task} in {n60} minutes
        remind me at {clock} to {task}
        remind me {day} at {clock} to {task}
        remind {first} to {task}
        don't let me forget to {task}
        what are my reminders
        delete the reminder to {task}
        set a reminder for {clock}
        take a note {message}
        """),
    _intent("calendar", 5, """
        what's on my calendar {day}
        what do i have {day}
        schedule a {event} with {contact} {day} at {clock}
        add a {event} with {contact} on {date} at {clock}
        move my {event} with {contact} to {clock}
        cancel my {event} with {contact}
        cancel the {event} on {date}
        when is my next {event}
        am i free {day} at {clock}
        add {first}'s birthday on {date}
        who is coming to the {event}
        invite {contact} to the {event}
        """),
    _intent("navigate", 5, """
        navigate to {place}
        take me to {place}
        drive to {place}
        how do i get to {place}
        how far is it to {place}
        how long will it take to get to {place}
        what's the traffic like to {place}
        find a {place_kind} near {city}
        where is the nearest {place_kind}
        is the {place_kind} open {day}
        avoid highways
        stop navigation
        directions from {city} to {city}
        find parking near {place}
        """),
    Intent("drink", 7, DRINK_TEMPLATES),
    _intent("control", 2, """
        yes
        no
        okay
        cancel
        never mind
        stop
        thank you
        thanks
        help
        go back
        repeat that
        say that again
        be quiet
        yes please
        no thanks
        that's right
        that's wrong
        not now
        """),
)
