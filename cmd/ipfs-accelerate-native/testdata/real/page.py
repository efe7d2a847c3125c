"""Draws page.png: a page with a picture, a table, and text that lies, stands and hangs.

Made with Pillow 11.3.0 and the fonts of DejaVu 2.37; usage: page.py OUT SCENE
"""
import sys

from PIL import Image, ImageDraw, ImageFont

font = lambda size, kind="": ImageFont.truetype(f"/usr/share/fonts/truetype/dejavu/DejaVuSans{kind}.ttf", size)
page = Image.new("RGB", (760, 900), "white")
d = ImageDraw.Draw(page)
d.text((150, 40), "Inference Server 2026", font=font(40, "-Bold"), fill="black")
body = "Models are fetched by content and run where\nthey are fastest. Every answer says how long\nit took: 3.14 ms on average, 42 at most."
d.multiline_text((60, 130), body, font=font(24), fill="black", spacing=10)
page.paste(Image.open(sys.argv[2]).convert("RGB").resize((420, 300)), (160, 280))
d.text((190, 595), "Figure 1: shapes on a slope", font=font(20), fill="black")
for y in range(4):
    d.line((120, 660 + y * 40, 560, 660 + y * 40), fill="black", width=2)
    if y < 3:
        for x, word in enumerate((("device", "ms", "price"), ("cpu", "12.5", "$3.00"), ("gpu", "1.75", "$9.90"))[y]):
            d.text((140 + x * 150, 668 + y * 40), word, font=font(20), fill="black")
for x in (120, 270, 420, 560):
    d.line((x, 660, x, 780), fill="black", width=2)
hanging = Image.new("RGB", (420, 40), "white")
ImageDraw.Draw(hanging).text((10, 4), "This line hangs upside down", font=font(24), fill="black")
page.paste(hanging.rotate(180), (150, 820))
standing = Image.new("RGB", (420, 40), "white")
ImageDraw.Draw(standing).text((10, 4), "This one climbs the margin", font=font(24), fill="black")
page.paste(standing.rotate(90, expand=True), (690, 300))
page.quantize(64).save(sys.argv[1])
