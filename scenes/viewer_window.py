"""The Qt window of `preop view`: 3D on the right, layers, load, field, cut and numbers on the left."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_API", "pyside6")

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QColorDialog,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)
from pyvistaqt import QtInteractor

from ..imaging.errors import NOT_A_MEDICAL_DEVICE
from .orientation_cube import orientation_cube
from .render_style import VIEWS
from .report_words import number_text
from .result_folder import ResultFolder
from .viewer_layers import CUTS
from .viewer_scene import ResultScene

_PANEL_WIDTH = 380
_FRAME_MILLISECONDS = 50
_VIEWS = ("anterior", "posterior", "right", "left", "superior", "inferior", "surgeon", "oblique")


class ResultWindow(QMainWindow):
    """One result. `scene` is what is shown, `plotter` the VTK widget it is shown in."""

    def __init__(self, result: ResultFolder) -> None:
        super().__init__()
        self.result = result
        self.setWindowTitle(f"{result.title} – preop")
        self._fit_screen()
        self.plotter: Any = QtInteractor(self)
        self.scene = ResultScene(result, self.plotter)
        self.plotter.add_orientation_widget(orientation_cube(), interactive=False)
        body = QWidget()
        layout = QHBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._panel())
        layout.addWidget(self.plotter.interactor, 1)
        self.setCentralWidget(body)
        line = QLabel(result.data.get("disclaimer") or NOT_A_MEDICAL_DEVICE)
        line.setStyleSheet("font-weight: 600; padding: 3px 10px;")
        self.statusBar().addPermanentWidget(line, 1)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._advance)

    def _fit_screen(self) -> None:
        """As large as is useful, and within what the screen has free."""
        size = QSize(1500, 950)
        screen = self.screen()
        if screen is not None:
            free = screen.availableGeometry()
            # The window's own frame and title need some of it.
            size = size.boundedTo(QSize(free.width() - 16, free.height() - 48))
        self.resize(size)

    def _panel(self) -> QScrollArea:
        column = QWidget()
        layout = QVBoxLayout(column)
        title = QLabel(self.result.title)
        title.setStyleSheet("font-size: 17px; font-weight: 700;")
        title.setWordWrap(True)
        layout.addWidget(title)
        layout.addWidget(self._view_box())
        if self.scene.fields:
            layout.addWidget(self._field_box())
        layout.addWidget(self._cut_box())
        layout.addWidget(self._layer_box())
        layout.addWidget(self._number_box())
        button = QPushButton("Save a screenshot…")
        button.clicked.connect(self._ask_screenshot)
        layout.addWidget(button)
        layout.addStretch(1)
        area = QScrollArea()
        area.setWidget(column)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFixedWidth(_PANEL_WIDTH)
        return area

    def _view_box(self) -> QGroupBox:
        box = QGroupBox("View")
        grid = QGridLayout(box)
        for number, name in enumerate(_VIEWS):
            button = QPushButton(name.capitalize())
            button.setToolTip(VIEWS[name].title)
            button.clicked.connect(lambda _=False, name=name: self.set_view(name))
            grid.addWidget(button, number // 4, number % 4)
        return box

    def _field_box(self) -> QGroupBox:
        box = QGroupBox("Computed organ")
        layout = QVBoxLayout(box)
        self.field_box = QComboBox()
        for key in self.scene.fields:
            self.field_box.addItem(self.scene.field_title(key), key)
        self.field_box.currentIndexChanged.connect(self._field_chosen)
        layout.addWidget(self.field_box)
        row = QHBoxLayout()
        self.play_button = QPushButton("Play")
        self.play_button.setCheckable(True)
        self.play_button.toggled.connect(self._play)
        self.load_slider = QSlider(Qt.Orientation.Horizontal)
        self.load_slider.setRange(0, 100)
        self.load_slider.setValue(100)
        self.load_slider.setAccessibleName("Load in percent")
        self.load_label = QLabel("100 %")
        self.load_label.setMinimumWidth(44)
        self.load_slider.valueChanged.connect(self._load_changed)
        row.addWidget(self.play_button)
        row.addWidget(self.load_slider, 1)
        row.addWidget(self.load_label)
        layout.addLayout(row)
        if self.scene.magnification != 1:
            layout.addWidget(QLabel(f"The motion is drawn × {self.scene.magnification:g}"))
        return box

    def _cut_box(self) -> QGroupBox:
        box = QGroupBox("Cut")
        row = QHBoxLayout(box)
        self.cut_box = QComboBox()
        self.cut_box.addItem("No cut", None)
        for name in CUTS:
            self.cut_box.addItem(name.capitalize(), name)
        self.cut_slider = QSlider(Qt.Orientation.Horizontal)
        self.cut_slider.setRange(0, 100)
        self.cut_slider.setValue(50)
        self.cut_slider.setEnabled(False)
        self.cut_slider.setAccessibleName("Where the cut lies")
        self.cut_box.currentIndexChanged.connect(self._cut_chosen)
        self.cut_slider.valueChanged.connect(self._cut_moved)
        row.addWidget(self.cut_box)
        row.addWidget(self.cut_slider, 1)
        return box

    def _layer_box(self) -> QGroupBox:
        box = QGroupBox("Layers")
        grid = QGridLayout(box)
        self.layer_checks: dict[str, QCheckBox] = {}
        self.layer_sliders: dict[str, QSlider] = {}
        for row, (name, layer) in enumerate(self.scene.layers.items()):
            check = QCheckBox(self.scene.layer_title(name))
            check.setChecked(bool(layer.actor.GetVisibility()))
            check.toggled.connect(lambda on, name=name: (self.scene.set_visible(name, on), self.plotter.render()))
            slider = QSlider(Qt.Orientation.Horizontal)
            slider.setRange(0, 100)
            slider.setValue(round(100 * layer.opacity))
            slider.setAccessibleName(f"Opacity of {self.scene.layer_title(name)}")
            slider.valueChanged.connect(
                lambda value, name=name: (self.scene.set_opacity(name, value / 100), self.plotter.render())
            )
            swatch = QPushButton()
            swatch.setFixedSize(22, 22)
            swatch.setToolTip("Colour")
            _paint(swatch, layer.colour)
            swatch.clicked.connect(lambda _=False, name=name, swatch=swatch: self._ask_colour(name, swatch))
            self.layer_checks[name], self.layer_sliders[name] = check, slider
            for place, widget in enumerate((swatch, check, slider)):
                grid.addWidget(widget, row, place)
        grid.setColumnStretch(2, 1)
        return box

    def _number_box(self) -> QGroupBox:
        box = QGroupBox("Results")
        layout = QVBoxLayout(box)
        numbers = self.result.data["numbers"]
        table = QTableWidget(len(numbers), 2)
        table.setHorizontalHeaderLabels(["Quantity", "Value"])
        table.verticalHeader().setVisible(False)
        table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        table.setWordWrap(True)
        for row, number in enumerate(numbers):
            cells = (number["name"], f"{number_text(number['value'], number['unit'])} {number['unit']}".strip())
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setToolTip(number.get("meaning", ""))
                table.setItem(row, column, item)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        table.resizeRowsToContents()
        table.setMinimumHeight(min(320, 40 + sum(table.rowHeight(row) for row in range(len(numbers)))))
        layout.addWidget(table)
        self.number_table = table
        return box

    def set_view(self, name: str) -> None:
        """Turn the camera."""
        self.scene.set_view(name)
        self.plotter.render()

    def save_screenshot(self, path: str | Path) -> Path:
        """Write what the 3D view shows, with the disclaimer on it."""
        from PIL import Image, ImageDraw

        from .annotate import font

        image = Image.fromarray(self.plotter.screenshot(return_img=True))
        face = font(15)
        ImageDraw.Draw(image).text(
            (12, image.height - 12), NOT_A_MEDICAL_DEVICE, fill=(80, 90, 100), font=face, anchor="ld"
        )
        image.save(path)
        return Path(path)

    def _ask_screenshot(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save a screenshot", "screenshot.png", "PNG (*.png)")
        if path:
            self.save_screenshot(path if path.endswith(".png") else f"{path}.png")

    def _ask_colour(self, name: str, swatch: QPushButton) -> None:
        red, green, blue = (round(255 * value) for value in self.scene.layers[name].colour)
        chosen = QColorDialog.getColor(QColor(red, green, blue), self)
        if chosen.isValid():
            colour = (chosen.redF(), chosen.greenF(), chosen.blueF())
            self.scene.set_colour(name, colour)
            _paint(swatch, colour)
            self.plotter.render()

    def _field_chosen(self) -> None:
        self.scene.set_field(self.field_box.currentData())
        self.plotter.render()

    def _load_changed(self, value: int) -> None:
        self.load_label.setText(f"{value} %")
        self.scene.set_load(value / 100)
        self.plotter.render()

    def _cut_chosen(self) -> None:
        plane = self.cut_box.currentData()
        self.cut_slider.setEnabled(plane is not None)
        if plane is not None:
            self.cut_slider.blockSignals(True)
            self.cut_slider.setValue(round(100 * self.scene.cut_at_target(plane)))
            self.cut_slider.blockSignals(False)
        self._cut_moved()

    def _cut_moved(self) -> None:
        self.scene.set_cut(self.cut_box.currentData(), self.cut_slider.value() / 100)
        self.plotter.render()

    def _play(self, on: bool) -> None:
        self.play_button.setText("Pause" if on else "Play")
        if on:
            self._timer.start(_FRAME_MILLISECONDS)
        else:
            self._timer.stop()

    def _advance(self) -> None:
        value = self.load_slider.value() + 3
        self.load_slider.setValue(0 if value > 100 else value)

    def closeEvent(self, event: Any) -> None:
        """Stop the clock and let VTK go before the window does."""
        self._timer.stop()
        self.plotter.close()
        super().closeEvent(event)


def run_window(result: ResultFolder) -> int:
    """Open the window and return when it is closed."""
    application = QApplication.instance() or QApplication(sys.argv[:1])
    window = ResultWindow(result)
    window.show()
    return int(application.exec())


def _paint(swatch: QPushButton, colour: tuple[float, float, float]) -> None:
    red, green, blue = (round(255 * value) for value in colour)
    swatch.setStyleSheet(f"background-color: rgb({red}, {green}, {blue}); border: 1px solid #55626e;")
